import type { OrgViews } from '../org/org-views.ts';
import type { CheckoutAttempt, StoredSubscription } from '../ports/billing-repository.ts';
import type { ProviderSubscription, Terms } from '../ports/payment-provider.ts';
import type { Wiring } from '../wiring.ts';
import { configured } from './call-provider.ts';
import { idempotencyKey } from './idempotency-key.ts';
import type { Refresh } from './refresh.ts';
import type { OnSubscriptionChanged } from './subscription-changed.ts';

/** Changes live subscriptions at the provider and stores each change as soon as it is made. Returns the provider's new state. */
export interface SubscriptionChanges {
  /** Moves a subscription to the attempt's tier. */
  move(
    current: ProviderSubscription,
    attempt: CheckoutAttempt,
    terms: Terms,
    actor: string,
  ): Promise<ProviderSubscription>;
  /** Ends a subscription, immediately or at the end of its period, as the provider is configured. */
  cancel(
    current: ProviderSubscription,
    attempt: CheckoutAttempt,
    actor: string,
  ): Promise<ProviderSubscription>;
  /** Ends a subscription in the repository alone if the provider is sure it has no such one: the org could otherwise never leave it. */
  endUnknown(ghost: StoredSubscription, actor: string): Promise<void>;
}

export function createSubscriptionChanges(
  wiring: Pick<Wiring, 'repository' | 'provider' | 'clock' | 'logger'>,
  orgViews: Pick<OrgViews, 'drop'>,
  refresh: Refresh,
  onSubscriptionChanged: OnSubscriptionChanged,
): SubscriptionChanges {
  const { repository, clock, logger } = wiring;

  async function atProvider(
    org: string,
    current: ProviderSubscription,
    actor: string,
    make: () => Promise<ProviderSubscription>,
  ) {
    let answer = current;
    const change = async () => {
      answer = await make();
      return answer;
    };
    const { id: subscriptionId, customerId } = current;
    // The customer that it is of, not the one that the org has now: that one may have taken its place.
    const customer = { org, provider: configured(wiring.provider).name, customerId };
    const refreshed = await refresh({ subscriptionId, actor, customer, change });
    if (refreshed.outcome === 'saved') return refreshed.fetched;
    logger.warn('A change made at the provider could not be stored. Its event or a sync will do that.', {
      org,
      customer: customerId,
      subscription: subscriptionId,
      outcome: refreshed.outcome,
    });
    return answer;
  }

  return {
    move: (current, { org, tier, id }, terms, actor) => {
      const subscriptionId = current.id;
      const key = idempotencyKey('change', org, tier, id, subscriptionId);
      const provider = configured(wiring.provider);
      return atProvider(org, current, actor, () =>
        provider.changeSubscription({ ...terms, subscriptionId, tier, idempotencyKey: key }),
      );
    },
    cancel: (current, { org, id }, actor) => {
      const subscriptionId = current.id;
      const key = idempotencyKey('cancel', org, id, subscriptionId);
      const provider = configured(wiring.provider);
      return atProvider(org, current, actor, () =>
        provider.cancelSubscription({ subscriptionId, idempotencyKey: key }),
      );
    },
    async endUnknown(ghost, actor) {
      const at = clock.now();
      const { version, ...stored } = ghost;
      const { org, id, provider, tier, status } = stored;
      logger.error('The provider does not know a subscription that is stored as live. It is ended here.', {
        org,
        provider,
        subscription: id,
      });
      const ended = { ...stored, status: 'canceled', endedAt: at };
      const saved = await repository.saveSubscription({
        subscription: ended,
        expectedVersion: version,
        audit: {
          at,
          org,
          actor,
          action: 'subscription.changed',
          subject: id,
          before: { tier, status },
          after: { tier, status: 'canceled', reason: 'unknown_to_provider' },
        },
      });
      orgViews.drop(org);
      if (saved === 'saved') await onSubscriptionChanged(ghost, ended);
    },
  };
}
