/**
 * Settles as the promise does, or rejects if it has not settled after `ms`; its later outcome is ignored.
 *
 * @param holdsProcess - whether the timer keeps the process alive
 */
export function within<T>(ms: number, promise: Promise<T>, holdsProcess = true): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    if (!holdsProcess) timer.unref();
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** The longest that closing waits for work that another process can do later, or that resolves by itself, ms. */
export const CLOSING_MS = 10_000;

/** Waits for the promise, whatever its outcome, at most until `CLOSING_MS` after `startedAt` (on the clock of `performance.now()`). */
export async function whileClosing(promise: Promise<unknown>, startedAt: number): Promise<void> {
  const leftMs = startedAt + CLOSING_MS - performance.now();
  await within(Math.max(0, leftMs), promise).catch(() => undefined);
}
