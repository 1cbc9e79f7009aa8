import type { OrgViews } from '../org/org-views.ts';
import type { CheckoutAttempt, StoredSubscription } from '../ports/billing-repository.ts';
import type { ProviderSubscription, Terms } from '../ports/payment-provider.ts';
import type { Wiring } from '../wiring.ts';
import { configured } from './call-provider.ts';
import { idempotencyKey } from './idempotency-key.ts';
import type { Refresh } from './refresh.ts';
import type { OnSubscriptionChanged } from './subscription-changed.ts';

/** Changes of live subscriptions at the provider, each stored as soon as it is made. All answer the provider's new state. */
export interface SubscriptionChanges {
  /** Moves a subscription to the attempt's tier. */
  move(
    current: ProviderSubscription,
    attempt: CheckoutAttempt,
    terms: Terms,
    actor: string,
  ): Promise<ProviderSubscription>;
  /** Ends a subscription, at once or at its period's end as the provider does it. */
  cancel(
    current: ProviderSubscription,
    attempt: CheckoutAttempt,
    actor: string,
  ): Promise<ProviderSubscription>;
  /** Ends, here alone, a subscription that the provider is sure it does not know: nobody could ever leave it otherwise. */
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
    current: ProviderSubscription,
    actor: string,
    make: () => Promise<ProviderSubscription>,
  ) {
    let answer = current;
    const change = async () => {
      answer = await make();
      return answer;
    };
    const refreshed = await refresh({ subscriptionId: current.id, actor, customer: null, change });
    if (refreshed.outcome === 'saved') return refreshed.fetched;
    logger.warn('A change made at the provider could not be stored. Its event or a sync will do that.', {
      subscription: current.id,
      outcome: refreshed.outcome,
    });
    return answer;
  }

  return {
    move: (current, { org, tier, id }, terms, actor) => {
      const subscriptionId = current.id;
      const key = idempotencyKey('change', org, tier, id, subscriptionId);
      const provider = configured(wiring.provider);
      return atProvider(current, actor, () =>
        provider.changeSubscription({ ...terms, subscriptionId, tier, idempotencyKey: key }),
      );
    },
    cancel: (current, { org, id }, actor) => {
      const subscriptionId = current.id;
      const key = idempotencyKey('cancel', org, id, subscriptionId);
      const provider = configured(wiring.provider);
      return atProvider(current, actor, () =>
        provider.cancelSubscription({ subscriptionId, idempotencyKey: key }),
      );
    },
    async endUnknown(ghost, actor) {
      const at = clock.now();
      const { version, ...stored } = ghost;
      const { org, id, provider, tier, status } = stored;
      logger.error('The provider does not know a subscription that is stored as live. It is ended here.', {
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
