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

type Work = () => Promise<unknown>;

export function createBackground({ logger }: { readonly logger: Logger }): Background {
  /** By the name of what is under way: what is begun once more behind it. */
  const again = new Map<string, Work | null>();
  const running = new Set<Promise<void>>();
  let isClosed = false;

  async function runAll(name: string, first: Work): Promise<void> {
    for (let work: Work | null = first; work !== null; work = isClosed ? null : (again.get(name) ?? null)) {
      again.set(name, null);
      try {
        await work();
      } catch (error) {
        logger.warn('Work in the background failed.', describeFailure(error));
      }
    }
    again.delete(name);
  }

  return {
    run(name, work) {
      if (isClosed) return;
      if (again.has(name)) {
        again.set(name, work);
        return;
      }
      const run = outsideRequests(() => runAll(name, work)).finally(() => running.delete(run));
      running.add(run);
    },
    async close() {
      isClosed = true;
      await Promise.all(running);
    },
  };
}
