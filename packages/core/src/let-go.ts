import { describeFailure } from './errors/describe-failure.ts';
import type { Logger } from './ports/logger.ts';
import { within } from './within.ts';
import type { Part } from './working-parts.ts';

/** Longest that closing waits for calls of stores and repository, which end by themselves: for one that never does, ms. */
const FINISHED_AT_LAST_MS = 25_000;
/** After how long, since closing began, it waits no longer for a part to close, ms. */
const CLOSED_AT_LAST_MS = 28_000;

/**
 * Waits for what is to be finished and lets go of the parts then, one after the other, whatever comes of what is before. What never ends is
 * given up in time: the process is to end as well, and would be killed.
 *
 * @throws what the first part that failed to close threw, when all were asked
 */
export async function finishAndLetGo(
  finish: () => Promise<void>,
  parts: Readonly<Record<string, Part | null>>,
  letGo: (part: Part) => Promise<void>,
  logger: Logger,
): Promise<void> {
  const startedAt = performance.now();
  const failures: unknown[] = [];
  await within(FINISHED_AT_LAST_MS, finish()).catch((error) => {
    logger.warn('closing waits no longer: what was on its way may be lost', describeFailure(error));
  });
  for (const [name, part] of Object.entries(parts)) {
    if (part === null) continue;
    const closing = letGo(part).catch((error) => void failures.push(error));
    const leftMs = startedAt + CLOSED_AT_LAST_MS - performance.now();
    await within(Math.max(0, leftMs), closing).catch((error) => {
      logger.warn('closing waits no longer: a part has not closed', {
        part: name,
        ...describeFailure(error),
      });
    });
  }
  if (failures.length > 0) throw failures[0];
}
