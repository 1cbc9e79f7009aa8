import { AsyncResource } from 'node:async_hooks';

/** Created when this module is loaded: before any request, unless a host loads it during one. */
const outside = new AsyncResource('tollgate');

/**
 * Runs work for many orgs, or for another org than the current request's, outside that request. Otherwise what a host keeps in an
 * `AsyncLocalStorage`, such as the tenant of its queries or of its log, would belong to a different org.
 */
export function outsideRequests<T>(work: () => T): T {
  return outside.runInAsyncScope(work);
}
