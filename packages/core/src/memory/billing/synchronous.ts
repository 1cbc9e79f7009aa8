/** The methods of an asynchronous port, each as one uninterrupted step. */
export type Synchronous<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => Promise<infer R> ? (...args: A) => R : never;
};

/**
 * Turns such methods into the port. Arguments and results are copied, so that no caller holds a reference to stored data, and an
 * argument that cannot be stored fails before anything is written. `enter` is called first and may throw.
 */
export function toAsynchronous<T extends object>(methods: Synchronous<T>, enter: () => void): T {
  const asynchronous = Object.entries<(...args: unknown[]) => unknown>(methods as never).map(
    ([name, method]) => [
      name,
      async (...args: unknown[]) => {
        enter();
        return structuredClone(method(...structuredClone(args)));
      },
    ],
  );
  return Object.fromEntries(asynchronous) as T;
}
