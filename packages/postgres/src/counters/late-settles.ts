import { type SettleOutcome, type SettleRequest, TollgateError } from '@tollgate/core';

/**
 * Settles that failed, told again until the database takes them. Left to the end of their leases, metered units would be given back
 * although what they paid for was made.
 */
export interface LateSettles {
  /** @param error - what it failed with; only what may pass is told again */
  add(request: SettleRequest, error: unknown): void;
  /** Tells them once more, for as long as one may take. */
  close(): Promise<void>;
}

const EVERY_MS = 500;
const MOST_WAITING = 10_000;
/** It is not known how a settle ended whose reply was lost: when it is told again its reservation may be gone, by itself. */
const DONE: SettleOutcome = { outcome: 'settled', late: false, overLimit: false };

const mayPass = (error: unknown) => error instanceof TollgateError && error.code === 'quota_unavailable';

/** @param keepMs - for how long one is told again: what is not settled by then the store has forgotten */
export function createLateSettles(
  settle: (request: SettleRequest) => Promise<SettleOutcome>,
  keepMs: number,
): LateSettles {
  let waiting: { readonly request: SettleRequest; readonly until: number }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let telling: Promise<void> | undefined;

  /** Up to the first that fails again, which comes last the next time: it may be its org alone that cannot be written. */
  async function tell(): Promise<void> {
    waiting = waiting.filter(({ until }) => performance.now() < until);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      let outcome: SettleOutcome;
      try {
        outcome = await settle(next.request);
      } catch (error) {
        if (!mayPass(error)) continue;
        waiting.push(next);
        return;
      }
      next.request.onLateAnswer?.(outcome.outcome === 'gone' ? DONE : outcome);
    }
  }

  function tellOnce(): Promise<void> {
    telling ??= tell().finally(() => {
      telling = undefined;
      schedule();
    });
    return telling;
  }

  function schedule(): void {
    if (waiting.length === 0) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      void tellOnce();
    }, EVERY_MS).unref();
  }

  return {
    add(request, error) {
      if (!mayPass(error) || waiting.length >= MOST_WAITING) return;
      waiting.push({ request, until: performance.now() + keepMs });
      schedule();
    },
    async close() {
      await tellOnce();
      waiting = [];
      clearTimeout(timer);
    },
  };
}
