import { describeFailure } from '../errors/describe-failure.ts';
import type { Logger } from '../ports/logger.ts';

/** Work nobody waits for, one at a time for each name. */
export interface Background {
  /** Begins the work unless the same name is under way. A failure is logged. */
  run(name: string, work: () => Promise<unknown>): void;
  /** Waits for what is under way; nothing is begun any more. */
  close(): Promise<void>;
}

export function createBackground({ logger }: { readonly logger: Logger }): Background {
  const underWay = new Map<string, Promise<unknown>>();
  let isClosed = false;
  return {
    run(name, work) {
      if (isClosed || underWay.has(name)) return;
      const running = work()
        .catch((error: unknown) => logger.warn('Work in the background failed.', describeFailure(error)))
        .finally(() => underWay.delete(name));
      underWay.set(name, running);
    },
    async close() {
      isClosed = true;
      await Promise.all(underWay.values());
    },
  };
}
