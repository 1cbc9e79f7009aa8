/** Runs tasks of one key one after another, tasks of different keys at once. */
export type KeyedQueue = <T>(key: string, task: () => Promise<T>) => Promise<T>;

/** A queue that keeps nothing of a key once its last task has ended. */
export function createKeyedQueue(): KeyedQueue {
  const tails = new Map<string, Promise<unknown>>();
  return async (key, task) => {
    const before = tails.get(key) ?? Promise.resolve();
    const mine = before.then(task, task);
    const tail = mine.catch(() => undefined);
    tails.set(key, tail);
    try {
      return await mine;
    } finally {
      if (tails.get(key) === tail) tails.delete(key);
    }
  };
}
