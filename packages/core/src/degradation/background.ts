import { describeFailure } from '../errors/describe-failure.ts';
import { outsideRequests } from '../outside-requests.ts';
import type { Logger } from '../ports/logger.ts';
import { warnSometimes } from '../warn-sometimes.ts';

/** Work that nobody waits for; one run at a time per name. */
export interface Background {
  /**
   * Starts the work. If work of that name is running, it is run once more afterwards, since the current run may have missed the
   * reason for it. A failure is logged. Runs outside the current request, which may belong to another org than the rows it counts.
   */
  run(name: string, work: () => Promise<unknown>): void;
  /** Waits for the work in progress; starts none any more. */
  close(): Promise<void>;
}

type Work = () => Promise<unknown>;

export function createBackground({ logger }: { readonly logger: Logger }): Background {
  /** By the name of the work in progress: what to run next, if anything. */
  const next = new Map<string, Work | null>();
  const running = new Set<Promise<void>>();
  let isClosed = false;

  async function runAll(name: string, first: Work): Promise<void> {
    for (let work: Work | null = first; work !== null; work = isClosed ? null : (next.get(name) ?? null)) {
      next.set(name, null);
      try {
        await work();
      } catch (error) {
        warnSometimes(logger, 'Work in the background failed.', { work: name, ...describeFailure(error) });
      }
    }
    next.delete(name);
  }

  return {
    run(name, work) {
      if (isClosed) return;
      if (next.has(name)) {
        next.set(name, work);
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
