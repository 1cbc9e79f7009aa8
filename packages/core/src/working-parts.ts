import { describeFailure } from './errors/describe-failure.ts';
import type { Logger } from './ports/logger.ts';
import { within } from './within.ts';

/** A store or a provider, which may hold connections. */
interface Part {
  close(): Promise<void>;
}

/** Longest that closing waits for calls of stores and repository, which end by themselves: for one that never does, ms. */
const FINISHED_AT_LAST_MS = 25_000;
/** After how long, since closing began, it waits no longer for a part to close, ms. */
const CLOSED_AT_LAST_MS = 28_000;

const ENGINES = Symbol.for('@tollgate/engines');

type Sharing = { [ENGINES]?: WeakMap<Part, number> };

/** How many engines of this process work with a part. Installed copies of this package share it. */
const engines = (globalThis as Sharing)[ENGINES] ?? new WeakMap<Part, number>();
(globalThis as Sharing)[ENGINES] = engines;

/**
 * Notes that an engine works with these parts.
 *
 * @returns ends that: waits for what is to be finished and closes the parts then, one after the other, but for those that another engine still
 * works with. Whatever comes of one step the next is taken, and what never ends is given up in time: the process is to end as well, and
 * would be killed. It throws what the first part that failed to close threw, when all were asked.
 */
export function workWith(
  parts: Readonly<Record<string, Part | null>>,
  logger: Logger,
): (finish: () => Promise<void>) => Promise<void> {
  const held = new Set(Object.values(parts).filter((part) => part !== null));
  for (const part of held) engines.set(part, (engines.get(part) ?? 0) + 1);

  async function letGo(part: Part): Promise<void> {
    const others = (engines.get(part) ?? 0) - (held.delete(part) ? 1 : 0);
    engines.set(part, others);
    if (others === 0) await part.close();
  }

  return async (finish) => {
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
  };
}
