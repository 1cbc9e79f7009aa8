import { describeError } from '../errors/describe-error.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Logger } from '../ports/logger.ts';
import type { NoticeListener, NoticeMap, NoticeName } from './types.ts';

/** Notifies the host's listeners of what happened. */
export interface Notices {
  /**
   * Adds a listener; returns a function that removes it.
   *
   * @throws TollgateError `invalid_configuration` for an unknown event name, or a listener that is not a function
   */
  on<N extends NoticeName>(name: N, listener: NoticeListener<N>): () => void;
  /** Calls every listener of the event, and waits for none. A listener that throws or rejects is logged, and affects nothing else. */
  tell<N extends NoticeName>(name: N, notice: NoticeMap[N]): void;
}

const NAMES = {
  'capacity.warned': true,
  'capacity.degraded': true,
  'capacity.marked': true,
  'capacity.cleared': true,
  'usage.threshold': true,
  'subscription.changed': true,
  'invoice.failed': true,
  'invoice.paid': true,
} as const satisfies { readonly [N in NoticeName]: true };

/** Creates the notices of one engine. Its listeners are those of this process; a caller of `tell` has already ruled out repeats. */
export function createNotices({ logger }: { readonly logger: Logger }): Notices {
  const listeners = new Map<NoticeName, Set<{ readonly call: (notice: never) => unknown }>>();

  function failed(name: NoticeName, { org }: { readonly org: string }, error: unknown): void {
    const facts = { notice: name, org, ...describeError(error) };
    logger.error('A listener failed; the notice is not told to it again.', facts);
  }

  return {
    on(name, listener) {
      if (typeof name !== 'string' || !Object.hasOwn(NAMES, name) || typeof listener !== 'function') {
        throw new TollgateError('invalid_configuration', {
          message: `on: needs one of ${Object.keys(NAMES).join(', ')}, and a function.`,
        });
      }
      const entry = { call: listener as (notice: never) => unknown };
      const known = listeners.get(name) ?? new Set();
      listeners.set(name, known.add(entry));
      return () => void known.delete(entry);
    },
    tell(name, notice) {
      for (const { call } of listeners.get(name) ?? []) {
        try {
          const answer = call(notice as never);
          Promise.resolve(answer).catch((error: unknown) => failed(name, notice, error));
        } catch (error) {
          failed(name, notice, error);
        }
      }
    },
  };
}
