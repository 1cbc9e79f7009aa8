import { describeFailure } from './errors/describe-failure.ts';
import type { Wiring } from './wiring.ts';

const EVERY_MS = 3_600_000;
/** Longer than any provider redelivers an event, and long enough for people who read the repository. */
const KEEP_MS = 45 * 86_400_000;
/** What is left after this many steps waits for the next hour. */
const MAX_STEPS = 10;

/**
 * Creates a purge of old records. The repository may delete a part at a time, so the purge repeats until none is left or it has to stop.
 * It runs at most once an hour, and immediately the first time, since a process may live for less than an hour.
 *
 * @param failed - the message to log if it fails
 * @returns the purge; `shouldStop` is asked after each step whether to leave the rest for another time
 */
export function createPurge(
  { clock, logger }: Pick<Wiring, 'clock' | 'logger'>,
  purge: (request: { readonly before: number }) => Promise<number>,
  failed: string,
): (shouldStop?: () => boolean) => Promise<void> {
  let purgedAt = Number.NEGATIVE_INFINITY;
  return async (shouldStop = () => false) => {
    const now = clock.now();
    if (Math.abs(now - purgedAt) < EVERY_MS) return;
    purgedAt = now;
    try {
      for (let step = 1; step <= MAX_STEPS; step += 1) {
        if (!((await purge({ before: now - KEEP_MS })) > 0) || shouldStop()) return;
      }
    } catch (error) {
      logger.warn(failed, describeFailure(error));
    }
  };
}
