import { describeFailure } from './errors/describe-failure.ts';
import type { Logger } from './ports/logger.ts';
import { within } from './within.ts';

/** A store or a provider, which may hold connections. */
interface Part {
  close(): Promise<void>;
}

/** The longest that closing waits for calls in progress, which usually end by themselves, ms. */
const FINISH_TIMEOUT_MS = 25_000;
/** How long after closing began it stops waiting for a part to close, ms. */
const CLOSE_TIMEOUT_MS = 28_000;

const ENGINES = Symbol.for('@tollgate/engines');

type Sharing = { [ENGINES]?: WeakMap<Part, number> };

/** How many engines of this process use a part. Shared by all installed copies of this package. */
const engines = (globalThis as Sharing)[ENGINES] ?? new WeakMap<Part, number>();
(globalThis as Sharing)[ENGINES] = engines;

/**
 * Registers an engine as a user of these parts.
 *
 * @returns a function that ends the use. It waits for `finish`, then closes the parts one after the other, except those that another engine
 * still uses. A step that fails does not prevent the next one. A step that never ends is given up in time, since the process, which has to
 * end as well, would be killed. After all parts were asked, it throws the first error of a part that failed to close.
 */
export function workWith(
  parts: Readonly<Record<string, Part | null>>,
  logger: Logger,
): (finish: () => Promise<void>) => Promise<void> {
  const held = new Set(Object.values(parts).filter((part) => part !== null));
  for (const part of held) engines.set(part, (engines.get(part) ?? 0) + 1);

  async function release(part: Part): Promise<void> {
    const others = (engines.get(part) ?? 0) - (held.delete(part) ? 1 : 0);
    engines.set(part, others);
    if (others === 0) await part.close();
  }

  return async (finish) => {
    const startedAt = performance.now();
    const failures: unknown[] = [];
    await within(FINISH_TIMEOUT_MS, finish()).catch((error) => {
      logger.warn('closing waits no longer: what was on its way may be lost', describeFailure(error));
    });
    for (const [name, part] of Object.entries(parts)) {
      if (part === null) continue;
      const closing = release(part).catch((error) => void failures.push(error));
      const leftMs = startedAt + CLOSE_TIMEOUT_MS - performance.now();
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
