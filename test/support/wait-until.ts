import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** @default 10000 */
  readonly timeoutMs?: number;
  /** @default 20 */
  readonly everyMs?: number;
}

/**
 * Polls until `check` returns something other than false, null or undefined, and resolves with it. A throwing check
 * counts as "not yet".
 * @throws Error naming `what` and the last failure once the time is up
 */
export async function waitUntil<T>(
  what: string,
  check: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 20 }: WaitOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value !== false && value !== null && value !== undefined) {
        return value as Exclude<T, false | null | undefined>;
      }
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline)
      throw new Error(`Waited ${timeoutMs} ms in vain until ${what}`, { cause });
    await sleep(everyMs);
  }
}
