import { describeFailure } from './errors/describe-failure.ts';
import type { Wiring } from './wiring.ts';

const EVERY_MS = 3_600_000;
/** Longer than any provider delivers an event again, and for whoever reads the repository. */
const KEEP_MS = 45 * 86_400_000;
/** What is left after so many is for the next hour. */
const MOST_STEPS = 10;

/**
 * Makes a purge of what is old, which the repository may forget a part at a time: until none is left or it has taken long enough.
 * Once an hour at most, and the first time at once: many a process does not live for an hour.
 *
 * @param failed - what is logged where it fails
 * @returns the purge; `isToEnd` is asked after each step, whether the others are left for another time
 */
export function createPurge(
  { clock, logger }: Pick<Wiring, 'clock' | 'logger'>,
  purge: (request: { readonly before: number }) => Promise<number>,
  failed: string,
): (isToEnd?: () => boolean) => Promise<void> {
  let purgedAt = Number.NEGATIVE_INFINITY;
  return async (isToEnd = () => false) => {
    const now = clock.now();
    if (Math.abs(now - purgedAt) < EVERY_MS) return;
    purgedAt = now;
    try {
      for (let step = 1; step <= MOST_STEPS; step += 1) {
        if (!((await purge({ before: now - KEEP_MS })) > 0) || isToEnd()) return;
      }
    } catch (error) {
      logger.warn(failed, describeFailure(error));
    }
  };
}
