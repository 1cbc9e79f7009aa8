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
