import { outsideRequests, type SettleOutcome, type SettleRequest, TollgateError } from '@tollgate/core';

/**
 * Settles that failed, told again until the database takes them. Left to the end of their leases, metered units would be given back
 * although what they paid for was made.
 */
export interface LateSettles {
  /**
   * @param error - what it failed with; only what may pass is told again
   * @param progress - of the try that failed
   */
  add(request: SettleRequest, error: unknown, progress: SettleProgress): void;
  /** Tells them once more, in so many ms and the time that the last of them takes. */
  close(withinMs: number): Promise<void>;
}

/** How far the tries of a settle came. */
export interface SettleProgress {
  /** One found its reservation, and may have settled it though it failed: its reply was lost. */
  mayBeDone: boolean;
}

const EVERY_MS = 500;
const MOST_WAITING = 10_000;
/** So many orgs in a row that cannot be settled: it is the database. */
const MOST_FAILURES = 3;
/** Told again, a settle whose reply was lost finds its reservation gone by its own doing. */
const DONE: SettleOutcome = { outcome: 'settled', late: false, overLimit: false };

interface Late {
  readonly request: SettleRequest;
  readonly progress: SettleProgress;
  readonly until: number;
}

const mayPass = (error: unknown) => error instanceof TollgateError && error.code === 'quota_unavailable';

/** @param keepMs - for how long one is told again: what is not settled by then the store has forgotten */
export function createLateSettles(
  settle: (request: SettleRequest, progress: SettleProgress) => Promise<SettleOutcome>,
  keepMs: number,
): LateSettles {
  let waiting: Late[] = [];
  let timer: NodeJS.Timeout | undefined;
  let telling: Promise<void> | undefined;
  /** When no more of a round is told, on the clock of `performance.now()`. */
  let endsAt = Number.POSITIVE_INFINITY;

  /** Those that fail again come last the next time: orgs that cannot be written hold up no other. A database that is away ends the round. */
  async function tell(): Promise<void> {
    const round = waiting.filter(({ until }) => performance.now() < until);
    waiting = [];
    const skipped: typeof round = [];
    const failed: typeof round = [];
    const stuck = new Set<string>();
    let failures = 0;
    for (const one of round) {
      const { org } = one.request;
      if (stuck.has(org) || failures === MOST_FAILURES || performance.now() >= endsAt) skipped.push(one);
      else if (await settles(one)) failures = 0;
      else {
        failed.push(one);
        stuck.add(org);
        failures += 1;
      }
    }
    waiting = [...skipped, ...waiting, ...failed];
  }

  /** False when it is to be told again. */
  async function settles({ request, progress }: Late): Promise<boolean> {
    let outcome: SettleOutcome;
    try {
      outcome = await settle(request, progress);
    } catch (error) {
      return !mayPass(error);
    }
    try {
      const isDone = outcome.outcome === 'gone' && progress.mayBeDone && request.rememberMs === 0;
      request.onLateAnswer?.(isDone ? DONE : outcome);
    } catch {
      // Whoever is told is not to be in the way of the others.
    }
    return true;
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
    timer ??= outsideRequests(() =>
      setTimeout(() => {
        timer = undefined;
        void tellOnce();
      }, EVERY_MS).unref(),
    );
  }

  return {
    add(request, error, progress) {
      if (!mayPass(error) || waiting.length >= MOST_WAITING) return;
      // An id that was forgotten may be another's by then.
      const knownMs = request.rememberMs > 0 ? Math.min(keepMs, request.rememberMs) : keepMs;
      waiting.push({ request, progress, until: performance.now() + knownMs });
      schedule();
    },
    async close(withinMs) {
      endsAt = performance.now() + withinMs;
      await tellOnce();
      waiting = [];
      clearTimeout(timer);
    },
  };
}
