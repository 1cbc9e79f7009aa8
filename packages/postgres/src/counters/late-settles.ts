import { outsideRequests, type SettleOutcome, type SettleRequest, TollgateError } from '@tollgate/core';

/**
 * Retries failed settles until the database takes them. Left to the end of their leases, metered units would be given back although
 * what they paid for was created.
 */
export interface LateSettles {
  /**
   * @param error - why it failed; only a transient failure is retried
   * @param progress - how far the failed attempt came
   */
  add(request: SettleRequest, error: unknown, progress: SettleProgress): void;
  /** Retries all once more, within `withinMs` and the time that the last attempt takes. */
  close(withinMs: number): Promise<void>;
}

/** How far the attempts at a settle came. */
export interface SettleProgress {
  /** An attempt settled the reservation, and may have been committed although it failed: its reply was lost. */
  mayBeDone: boolean;
}

const EVERY_MS = 500;
const MOST_WAITING = 10_000;
/** After this many orgs in a row that cannot be settled, the fault is taken to be the database's. */
const MOST_FAILURES = 3;
/** A retry of a settle whose reply was lost finds its reservation gone, by its own doing. */
const DONE: SettleOutcome = { outcome: 'settled', late: false, overLimit: false };

interface Late {
  readonly request: SettleRequest;
  readonly progress: SettleProgress;
  readonly until: number;
}

const isTransient = (error: unknown) => error instanceof TollgateError && error.code === 'quota_unavailable';

/** @param keepMs - how long a settle is retried: after that the store has forgotten its reservation */
export function createLateSettles(
  settle: (request: SettleRequest, progress: SettleProgress) => Promise<SettleOutcome>,
  keepMs: number,
): LateSettles {
  let waiting: Late[] = [];
  let timer: NodeJS.Timeout | undefined;
  let retrying: Promise<void> | undefined;
  /** When a round stops, on the clock of `performance.now()`. */
  let endsAt = Number.POSITIVE_INFINITY;

  /** One round of retries. Settles that fail again go last, so that stuck orgs hold up no other. A database that is down ends it. */
  async function retryAll(): Promise<void> {
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

  /** Returns false if the settle must be retried. */
  async function settles({ request, progress }: Late): Promise<boolean> {
    let outcome: SettleOutcome;
    try {
      outcome = await settle(request, progress);
    } catch (error) {
      return !isTransient(error);
    }
    try {
      const isDone = outcome.outcome === 'gone' && progress.mayBeDone && request.rememberMs === 0;
      request.onLateAnswer?.(isDone ? DONE : outcome);
    } catch {
      // A listener that throws must not affect the other settles.
    }
    return true;
  }

  function retryOnce(): Promise<void> {
    retrying ??= retryAll().finally(() => {
      retrying = undefined;
      schedule();
    });
    return retrying;
  }

  function schedule(): void {
    if (waiting.length === 0) return;
    timer ??= outsideRequests(() =>
      setTimeout(() => {
        timer = undefined;
        void retryOnce();
      }, EVERY_MS).unref(),
    );
  }

  return {
    add(request, error, progress) {
      if (!isTransient(error) || waiting.length >= MOST_WAITING) return;
      // Once an id is forgotten, another reservation may have it.
      const knownMs = request.rememberMs > 0 ? Math.min(keepMs, request.rememberMs) : keepMs;
      waiting.push({ request, progress, until: performance.now() + knownMs });
      schedule();
    },
    async close(withinMs) {
      endsAt = performance.now() + withinMs;
      await retryOnce();
      waiting = [];
      clearTimeout(timer);
    },
  };
}
