import { TollgateError } from '../errors/tollgate-error.ts';
import type { PaymentProvider } from '../ports/payment-provider.ts';
import { callProvider } from './call-provider.ts';
import type { Wait } from './wait.ts';

/** Whether it is worth asking on, for somebody who has many things to ask. */
export interface Patience {
  readonly isOver: boolean;
  /** Asks for one of them; again after a pause where the provider is too busy. @throws what the last try threw */
  ask<T>(one: () => Promise<T>): Promise<T>;
}

/** What is never said of one customer alone. */
const AWAY: ReadonlySet<string> = new Set(['provider_timeout', 'provider_busy', 'repository_unavailable']);
/** So many in a row, without one answer: nobody is there. */
const MOST_IN_A_ROW = 12;
/** What any provider that works knows nothing of, and says so. */
const NOBODYS = { subscriptionId: 'sub_none' };
/** How often a busy provider is asked for one, and how long it is left alone at most. */
const MOST_TRIES = 3;
const MOST_PAUSE_MS = 30_000;

export function createPatience(provider: Pick<PaymentProvider, 'fetchSubscription'>, wait: Wait): Patience {
  let inARow = 0;
  let refusals = 0;

  async function noteFailure(error: unknown): Promise<void> {
    if (isAway(error)) inARow += 1;
    else if (isRefusal(error)) await noteRefusal();
  }

  /**
   * Any number of customers may be refused for good. One that refuses connections, fails with each call or takes the key no more refuses
   * them in the same words: what is nobody's tells those apart.
   */
  async function noteRefusal(): Promise<void> {
    refusals += 1;
    if (refusals % MOST_IN_A_ROW !== 0) return;
    try {
      await callProvider(() => provider.fetchSubscription(NOBODYS));
      inARow = 0;
    } catch (error) {
      inARow = isRefusal(error) ? MOST_IN_A_ROW : inARow + 1;
    }
  }

  const patience: Patience = {
    get isOver() {
      return inARow >= MOST_IN_A_ROW;
    },
    async ask(one) {
      for (let tries = 1; ; tries += 1) {
        try {
          const answer = await one();
          inARow = 0;
          refusals = 0;
          return answer;
        } catch (error) {
          await noteFailure(error);
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

function isAway(error: unknown): boolean {
  return error instanceof TollgateError && AWAY.has(error.code);
}

function isRefusal(error: unknown): boolean {
  return error instanceof TollgateError && error.code === 'provider_error';
}

/** How long a provider that is busy wants to be left alone, ms; null for whatever else it says. */
function pauseOf(error: unknown): number | null {
  if (!(error instanceof TollgateError) || error.code !== 'provider_busy') return null;
  return Math.min((error.retryAfterSeconds ?? 1) * 1_000, MOST_PAUSE_MS);
}
