import { TollgateError } from '../errors/tollgate-error.ts';
import type { PaymentProvider } from '../ports/payment-provider.ts';
import { callProvider } from './call-provider.ts';
import type { Wait } from './wait.ts';

/** Decides, for a caller with many things to fetch, whether it is worth going on. */
export interface Patience {
  readonly isOver: boolean;
  /** Fetches one of them, with retries after a pause while the provider is too busy. @throws what the last attempt threw */
  ask<T>(one: () => Promise<T>): Promise<T>;
}

/** Errors that never concern one customer alone. */
const AWAY: ReadonlySet<string> = new Set(['provider_timeout', 'provider_busy', 'repository_unavailable']);
/** After this many in a row without a single reply, the other side is taken to be away. */
const MAX_IN_A_ROW = 12;
/** A subscription that no provider has, as any working one replies. */
const NONEXISTENT = { subscriptionId: 'sub_none' };
/** How many times a busy provider is asked for one, and the longest pause between. */
const MAX_ATTEMPTS = 3;
const MAX_PAUSE_MS = 30_000;

export function createPatience(provider: Pick<PaymentProvider, 'fetchSubscription'>, wait: Wait): Patience {
  let inARow = 0;
  let refusals = 0;

  async function noteFailure(error: unknown): Promise<void> {
    if (isAway(error)) inARow += 1;
    else if (isRefusal(error)) await noteRefusal();
  }

  /**
   * Any number of customers may be refused for good reasons. A provider that refuses connections, fails every call or no longer accepts
   * the key refuses them with the same error. Fetching a subscription that cannot exist tells the two apart.
   */
  async function noteRefusal(): Promise<void> {
    refusals += 1;
    if (refusals % MAX_IN_A_ROW !== 0) return;
    try {
      await callProvider(() => provider.fetchSubscription(NONEXISTENT));
      inARow = 0;
    } catch (error) {
      inARow = isRefusal(error) ? MAX_IN_A_ROW : inARow + 1;
    }
  }

  const patience: Patience = {
    get isOver() {
      return inARow >= MAX_IN_A_ROW;
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
          const pauseMs = tries < MAX_ATTEMPTS ? pauseOf(error) : null;
          if (pauseMs === null || patience.isOver) throw error;
          await wait(pauseMs);
          // Concurrent callers may have found out meanwhile.
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

/** How long a busy provider wants to be left alone, ms; null for any other error. */
function pauseOf(error: unknown): number | null {
  if (!(error instanceof TollgateError) || error.code !== 'provider_busy') return null;
  return Math.min((error.retryAfterSeconds ?? 1) * 1_000, MAX_PAUSE_MS);
}
