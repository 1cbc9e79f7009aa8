import { isPending } from '../is-pending.ts';
import type { PerRequest } from './guard-options.ts';

type Given<R, T extends object> = {
  readonly [N in keyof T]?: PerRequest<R, T[N]> | PerRequest<R, T[N] | undefined> | undefined;
};

/**
 * Sorts options into values and functions once, and answers them for each request: at once, unless a function answered a promise.
 */
export function perRequest<R, T extends object>(
  options: Given<R, T>,
): (native: R) => Partial<T> | Promise<Partial<T>> {
  const fixed: Record<string, unknown> = {};
  const asked: [string, (native: R) => unknown][] = [];
  for (const [name, option] of Object.entries(options)) {
    if (typeof option === 'function') asked.push([name, option as (native: R) => unknown]);
    else if (option !== undefined) fixed[name] = option;
  }
  if (asked.length === 0) return () => fixed as Partial<T>;
  return (native) => {
    const values = { ...fixed };
    let waiting: Promise<unknown>[] | null = null;
    for (const [name, ask] of asked) {
      const value = ask(native);
      if (isPending(value)) {
        const answered = Promise.resolve(value).then((late) => {
          values[name] = late;
        });
        // Where a function after it throws, nobody waits for this one: it must not fail unseen, which ends the process.
        answered.catch(ignore);
        waiting ??= [];
        waiting.push(answered);
      } else if (value !== undefined) values[name] = value;
    }
    return (waiting === null ? values : Promise.all(waiting).then(() => values)) as
      | Partial<T>
      | Promise<Partial<T>>;
  };
}

const ignore = () => undefined;
