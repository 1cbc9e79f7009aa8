import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError } from './database-error.ts';

const MAX_ATTEMPTS = 5;
const FIRST_PAUSE_MS = 10;

/** One attempt at a transaction. `atCommit` says whether the commit was in progress when it failed. */
export type Attempt<T> = (progress: { atCommit: boolean }) => Promise<T>;

/**
 * Retries until an attempt succeeds, fails for good, or attempts or time run out. The back-off is exponential with jitter, so that
 * callers that collided once do not collide again.
 * @param deadline - on the scale of `performance.now()`
 * @throws TollgateError for what the database refused; other errors as they are.
 */
export async function withRetries<T>(deadline: number, attempt: Attempt<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    const progress = { atCommit: false };
    try {
      return await attempt(progress);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      const pauseMs = FIRST_PAUSE_MS * 2 ** tries * (0.5 + Math.random());
      const isLast = tries === MAX_ATTEMPTS || performance.now() + pauseMs >= deadline;
      if (isLast || !error.mayRetry(progress.atCommit)) throw error.toTollgateError();
      await sleep(pauseMs);
    }
  }
}
