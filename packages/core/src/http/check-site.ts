import { TollgateError } from '../errors/tollgate-error.ts';
import type { HttpRequest } from '../ports/http-message.ts';

/**
 * Refuses a state-changing request that a browser sent from a site not on the list. A request without `Origin` and
 * `Sec-Fetch-Site` is not a browser's and passes; so does everything when the list is null.
 *
 * @throws TollgateError `cross_site_request`
 */
export function checkSite(request: HttpRequest, allowedOrigins: readonly string[] | null): void {
  if (allowedOrigins === null) return;
  const origin = request.header('origin');
  if (origin !== undefined) {
    if (!allowedOrigins.includes(origin)) throw new TollgateError('cross_site_request');
    return;
  }
  const site = request.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    throw new TollgateError('cross_site_request');
}
