/**
 * Whether a value can be awaited. Not decided by its class: query builders are not promises, promises of another realm (Jest) have another
 * class, and where a host has replaced `Promise` (zone.js, Bluebird), async functions do not return instances of the replacement.
 */
export function isPending<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
