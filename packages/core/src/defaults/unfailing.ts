/** Passes calls on to an object of the host's, and throws nothing: what it is told of goes on all the same. */
export function unfailing<T extends object>(target: T, methods: readonly (keyof T)[]): T {
  const made = {} as T;
  for (const name of methods) {
    made[name] = ((...args: unknown[]) => {
      try {
        // Looked up anew: loggers change their methods with their level.
        (target as Record<keyof T, (...args: unknown[]) => void>)[name](...args);
      } catch {
        // Whoever counts and logs is not in the way of who is counted.
      }
    }) as T[typeof name];
  }
  return made;
}
