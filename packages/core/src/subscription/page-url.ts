import { TollgateError } from '../errors/tollgate-error.ts';
import { allowedUrl } from './allowed-url.ts';

/** Providers put state into the fragment of a page's URL, so these may be longer than what a caller may send. */
const MAX_LENGTH = 8_192;

/**
 * The URL of a provider's page in normal form, fit for a `Location` header.
 *
 * @param origins - the provider's `pageOrigins`.
 * @throws TollgateError `provider_error` for a URL that is not on one of them.
 */
export function checkPageUrl(url: string, origins: readonly string[]): string {
  const checked = allowedUrl(url, origins, MAX_LENGTH);
  if (checked === null)
    throw new TollgateError('provider_error', {
      cause: new Error('The page is not on an origin of the provider.'),
    });
  return checked;
}
