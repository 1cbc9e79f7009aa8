/** An object of the host's of which these methods throw nothing: what they report goes on all the same. */
export function unfailing<T extends object>(target: T, methods: readonly (keyof T)[]): T {
  const made = Object.create(target) as T;
  for (const name of methods) {
    const method = target[name] as (...args: unknown[]) => void;
    made[name] = ((...args: unknown[]) => {
      try {
        method.apply(target, args);
      } catch {
        // Whoever counts and logs is not in the way of who is counted.
      }
    }) as T[typeof name];
  }
  return made;
}
