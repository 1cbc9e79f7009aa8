import type { StoredSubscription, Subscription } from '../ports/billing-repository.ts';
import type { ProviderSubscription } from '../ports/payment-provider.ts';

const ENDED_STATUSES: ReadonlySet<string> = new Set(['canceled', 'incomplete_expired']);
const UNPAID_STATUSES: ReadonlySet<string> = new Set(['past_due', 'unpaid']);

/** Whether a subscription has ended for good. With any other status, even an unknown one, it may still charge somebody. */
export function hasEnded(subscription: Pick<Subscription, 'status' | 'endedAt'>): boolean {
  return ENDED_STATUSES.has(subscription.status) || subscription.endedAt !== null;
}

/**
 * The subscription to store, from what is stored and what the provider has now.
 *
 * - One that has ended stays exactly as it is stored, whatever is fetched later.
 * - `pastDueAt` is set when payment first fails, stays while payment keeps failing (including `unpaid`), and is cleared when it no
 *   longer fails. So repeats never move a grace period.
 * - `org` comes from the caller, who has it from the stored customer. Everything else comes from the provider.
 */
export function nextSubscription(request: {
  readonly stored: StoredSubscription | null;
  readonly fetched: ProviderSubscription;
  readonly provider: string;
  readonly org: string;
  readonly now: number;
}): Subscription {
  const { stored, fetched, provider, org, now } = request;
  if (stored !== null && hasEnded(stored)) {
    const { version: _, ...unchanged } = stored;
    return unchanged;
  }
  return {
    provider,
    id: fetched.id,
    org,
    customerId: fetched.customerId,
    tier: fetched.tier,
    status: fetched.status,
    quantity: fetched.quantity,
    interval: fetched.interval,
    createdAt: fetched.createdAt,
    currentPeriodEndsAt: fetched.currentPeriodEndsAt,
    trialEndsAt: fetched.trialEndsAt,
    cancelsAt: fetched.cancelsAt,
    scheduledTier: fetched.scheduledTier,
    scheduledAt: fetched.scheduledAt,
    pastDueAt: UNPAID_STATUSES.has(fetched.status) ? (stored?.pastDueAt ?? now) : null,
    endedAt: hasEnded(fetched) ? (fetched.endedAt ?? now) : null,
  };
}
