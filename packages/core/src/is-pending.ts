/**
 * Whatever can be awaited. It is not asked by its class: query builders are none, promises of another realm (Jest's) are of another one,
 * and where a host has replaced `Promise` (zone.js, Bluebird), those that async functions answer are not of the one that stands there.
 */
export function isPending<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
