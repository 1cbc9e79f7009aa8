import { TollgateError } from '../errors/tollgate-error.ts';
import type { Wait } from './wait.ts';

/** Whether it is worth asking on, for somebody who has many things to ask. */
export interface Patience {
  readonly isOver: boolean;
  /** Asks for one of them; again after a pause where the provider is too busy. @throws what the last try threw */
  ask<T>(one: () => Promise<T>): Promise<T>;
}

/** What is never said of one customer alone. A refusal is not among it: any number of customers may be refused for good. */
const AWAY: ReadonlySet<string> = new Set(['provider_timeout', 'provider_busy', 'repository_unavailable']);
/** So many in a row, without one answer: nobody is there. */
const MOST_IN_A_ROW = 12;
/** How often a busy provider is asked for one, and how long it is left alone at most. */
const MOST_TRIES = 3;
const MOST_PAUSE_MS = 30_000;

export function createPatience(wait: Wait): Patience {
  let inARow = 0;
  const patience: Patience = {
    get isOver() {
      return inARow >= MOST_IN_A_ROW;
    },
    async ask(one) {
      for (let tries = 1; ; tries += 1) {
        try {
          const answer = await one();
          inARow = 0;
          return answer;
        } catch (error) {
          if (error instanceof TollgateError && AWAY.has(error.code)) inARow += 1;
          const pauseMs = tries < MOST_TRIES ? pauseOf(error) : null;
          if (pauseMs === null || patience.isOver) throw error;
          await wait(pauseMs);
          // Others have found out meanwhile.
          if (patience.isOver) throw error;
        }
      }
    },
  };
  return patience;
}

/** How long a provider that is busy wants to be left alone, ms; null for whatever else it says. */
function pauseOf(error: unknown): number | null {
  if (!(error instanceof TollgateError) || error.code !== 'provider_busy') return null;
  return Math.min((error.retryAfterSeconds ?? 1) * 1_000, MOST_PAUSE_MS);
}
