import { allowedUrl } from './allowed-url.ts';

const MAX_LENGTH = 2_048;

/**
 * A portal's `return_url` in its normal form if the host allowed its origin, else null.
 *
 * @param origins - exact origins, such as `https://app.example.com`; http is accepted for loopback hosts only.
 */
export function checkReturnUrl(url: string, origins: readonly string[]): string | null {
  return allowedUrl(url, origins, MAX_LENGTH);
}
