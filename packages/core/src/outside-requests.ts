import { AsyncResource } from 'node:async_hooks';

/** Made when this module is loaded: before any request, unless a host loads it within one. */
const outside = new AsyncResource('tollgate');

/**
 * Runs what is done for many orgs, or for another one than that of the request it was begun in: whatever a host keeps in an
 * `AsyncLocalStorage`, such as the tenant its queries are held to or its log is written under, would be that of a stranger.
 */
export function outsideRequests<T>(work: () => T): T {
  return outside.runInAsyncScope(work);
}
