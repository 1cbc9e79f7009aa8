import { isPending } from '../is-pending.ts';

/** Passes calls on to an object of the host (a logger, say), and ignores whatever it throws or rejects with. */
export function unfailing<T extends object>(target: T, methods: readonly (keyof T)[]): T {
  const made = {} as T;
  for (const name of methods) {
    made[name] = ((...args: unknown[]) => {
      try {
        // Looked up anew: loggers change their methods with their level.
        const answer = (target as Record<keyof T, (...args: unknown[]) => unknown>)[name](...args);
        // An async one fails later, and nobody waits for it: unseen, that would end the process.
        if (isPending(answer)) Promise.resolve(answer).catch(ignore);
      } catch {
        // Whoever counts and logs is not in the way of who is counted.
      }
    }) as T[typeof name];
  }
  return made;
}

const ignore = () => undefined;
