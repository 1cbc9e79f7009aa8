import type { RowCallback } from '../options.ts';
import type { RowAction } from '../ports/sweep-list.ts';

/**
 * Calls the host for one row, with a time-out and the action's own idempotency key.
 *
 * @throws what the host throws, or an error if it does not finish within `timeoutMs`; then its signal is aborted.
 */
export async function callHost(
  callback: RowCallback,
  request: { readonly org: string; readonly action: RowAction; readonly timeoutMs: number },
): Promise<void> {
  const { resource, id, key, action } = request.action;
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new Error(`the ${action} callback did not end within ${request.timeoutMs} ms`);
      controller.abort(error);
      reject(error);
    }, request.timeoutMs);
  });
  const work = (async () =>
    callback({
      org: request.org,
      resource,
      id,
      idempotencyKey: `${key}:${action}`,
      signal: controller.signal,
    }))();
  try {
    await Promise.race([work, timeUp]);
  } finally {
    clearTimeout(timer);
    // A callback that fails after its time-out must not become an unhandled rejection.
    work.catch(() => undefined);
  }
}
