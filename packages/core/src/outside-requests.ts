import { AsyncResource } from 'node:async_hooks';

/** Made when this module is loaded: before any request, unless a host loads it within one. */
const outside = new AsyncResource('tollgate');

/**
 * Runs work for many orgs, or for another org than that of the current request, outside that request. What a host keeps in an
 * `AsyncLocalStorage`, such as the tenant of its queries or of its log, would otherwise belong to a different org.
 */
export function outsideRequests<T>(work: () => T): T {
  return outside.runInAsyncScope(work);
}
