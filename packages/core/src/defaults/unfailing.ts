import { isPending } from '../is-pending.ts';

/** Forwards calls to an object of the host, such as a logger, and ignores whatever it throws or rejects with. */
export function unfailing<T extends object>(target: T, methods: readonly (keyof T)[]): T {
  const made = {} as T;
  for (const name of methods) {
    made[name] = ((...args: unknown[]) => {
      try {
        // Looked up at every call, since some loggers replace their methods when the level changes.
        const answer = (target as Record<keyof T, (...args: unknown[]) => unknown>)[name](...args);
        // An async method may fail later, and an unhandled rejection would end the process.
        if (isPending(answer)) Promise.resolve(answer).catch(ignore);
      } catch {
        // A failure to log or count must not fail the request.
      }
    }) as T[typeof name];
  }
  return made;
}

const ignore = () => undefined;
