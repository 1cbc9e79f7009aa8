import { isPending } from '../is-pending.ts';
import type { PerRequest } from './guard-options.ts';

type Given<R, T extends object> = {
  readonly [N in keyof T]?: PerRequest<R, T[N]> | PerRequest<R, T[N] | undefined> | undefined;
};

/** Separates values from functions of the request once, then resolves all for each request: synchronously, unless one returns a promise. */
export function perRequest<R, T extends object>(
  options: Given<R, T>,
): (native: R) => Partial<T> | Promise<Partial<T>> {
  const fixed: Record<string, unknown> = {};
  const functions: [string, (native: R) => unknown][] = [];
  for (const [name, option] of Object.entries(options)) {
    if (typeof option === 'function') functions.push([name, option as (native: R) => unknown]);
    else if (option !== undefined) fixed[name] = option;
  }
  if (functions.length === 0) return () => fixed as Partial<T>;
  return (native) => {
    const values = { ...fixed };
    let promises: Promise<unknown>[] | null = null;
    for (const [name, resolve] of functions) {
      const value = resolve(native);
      if (isPending(value)) {
        const pending = Promise.resolve(value).then((resolved) => {
          values[name] = resolved;
        });
        // If a later function throws, nothing awaits this promise: its rejection would be unhandled, which ends the process.
        pending.catch(ignore);
        promises ??= [];
        promises.push(pending);
      } else if (value !== undefined) values[name] = value;
    }
    return (promises === null ? values : Promise.all(promises).then(() => values)) as
      | Partial<T>
      | Promise<Partial<T>>;
  };
}

const ignore = () => undefined;
