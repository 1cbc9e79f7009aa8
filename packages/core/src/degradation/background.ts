import { describeFailure } from '../errors/describe-failure.ts';
import { outsideRequests } from '../outside-requests.ts';
import type { Logger } from '../ports/logger.ts';

/** Work nobody waits for, one at a time for each name. */
export interface Background {
  /**
   * Begins the work. While the same name is under way it is begun once more afterwards, since what is under way may have
   * missed the reason. A failure is logged. It is outside of any request: that of an operator is no place to count another org's rows in.
   */
  run(name: string, work: () => Promise<unknown>): void;
  /** Waits for what is under way; nothing is begun any more. */
  close(): Promise<void>;
}

export function createBackground({ logger }: { readonly logger: Logger }): Background {
  const underWay = new Map<string, { running: Promise<void>; again: (() => Promise<unknown>) | null }>();
  let isClosed = false;

  async function attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      logger.warn('Work in the background failed.', describeFailure(error));
    }
  }

  return {
    run(name, work) {
      if (isClosed) return;
      const known = underWay.get(name);
      if (known !== undefined) {
        known.again = work;
        return;
      }
      const entry: { running: Promise<void>; again: (() => Promise<unknown>) | null } = {
        running: Promise.resolve(),
        again: null,
      };
      entry.running = outsideRequests(async () => {
        await attempt(work);
        while (entry.again !== null && !isClosed) {
          const next = entry.again;
          entry.again = null;
          await attempt(next);
        }
        underWay.delete(name);
      });
      underWay.set(name, entry);
    },
    async close() {
      isClosed = true;
      await Promise.all([...underWay.values()].map(({ running }) => running));
    },
  };
}
