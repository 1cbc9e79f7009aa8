/**
 * Settles as the promise does, or rejects when it has not settled after `ms`; what it does later is ignored.
 *
 * @param holdsProcess - whether the process waits for it, if it has nothing else to do
 */
export function within<T>(ms: number, promise: Promise<T>, holdsProcess = true): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    if (!holdsProcess) timer.unref();
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Longest that closing waits for what somebody else can do later, or what heals by itself, ms. */
export const CLOSING_MS = 10_000;

/** Waits for it, whatever comes of it, at most until closing has taken `CLOSING_MS` since `startedAt` on the clock of `performance.now()`. */
export async function whileClosing(promise: Promise<unknown>, startedAt: number): Promise<void> {
  const leftMs = startedAt + CLOSING_MS - performance.now();
  await within(Math.max(0, leftMs), promise).catch(() => undefined);
}
