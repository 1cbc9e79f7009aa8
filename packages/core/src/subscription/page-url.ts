import { TollgateError } from '../errors/tollgate-error.ts';
import { allowedUrl } from './allowed-url.ts';

/** Providers put state into the fragment of a page's address, so these are longer than what a caller may send. */
const MAX_LENGTH = 8_192;

/**
 * The address of a provider's page in its normal form, fit for a `Location` header.
 *
 * @param origins - the provider's `pageOrigins`.
 * @throws TollgateError `provider_error` for an address that is not on one of them.
 */
export function checkPageUrl(url: string, origins: readonly string[]): string {
  const checked = allowedUrl(url, origins, MAX_LENGTH);
  if (checked === null)
    throw new TollgateError('provider_error', {
      cause: new Error('The page is not on an origin of the provider.'),
    });
  return checked;
}
