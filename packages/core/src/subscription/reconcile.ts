import type { Customer, StoredSubscription } from '../ports/billing-repository.ts';
import type { ProviderSubscription } from '../ports/payment-provider.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import { liveSubscriptions } from './live-subscriptions.ts';
import { hasEnded } from './next-subscription.ts';
import type { Refresh, Refreshed } from './refresh.ts';
import { differs } from './subscription-changed.ts';

/** What a customer has at the provider, after the stored state was updated from it. */
export interface Reconciled {
  /** Not ended at the provider; first the one to act on. */
  readonly live: readonly ProviderSubscription[];
  /** Stored as not ended, although the provider is sure that it has no such subscription. */
  readonly unknown: readonly StoredSubscription[];
  /** How many were checked, and how many of them were stored differently. */
  readonly checked: number;
  readonly changed: number;
}

/** Updates all stored subscriptions of a customer from the provider, including those that no event announced. */
export type Reconcile = (customer: Customer, actor: string) => Promise<Reconciled>;

export function createReconcile(
  wiring: Pick<Wiring, 'repository' | 'provider'>,
  refresh: Refresh,
): Reconcile {
  return async (customer, actor) => {
    const provider = configured(wiring.provider);
    const { subscriptions } = await wiring.repository.loadOrg(customer.org);
    const stored = new Map(subscriptions.filter((s) => s.provider === provider.name).map((s) => [s.id, s]));
    const listed = await callProvider(() => provider.listSubscriptions({ customerId: customer.customerId }));
    const current: ProviderSubscription[] = [];
    const unknown: StoredSubscription[] = [];
    let checked = 0;
    let changed = 0;

    const note = (result: Refreshed) => {
      checked += 1;
      if (result.outcome === 'saved' && differs(result.before, result.after)) changed += 1;
    };
    for (const fetched of listed) {
      const known = stored.get(fetched.id) ?? null;
      stored.delete(fetched.id);
      if (known !== null && hasEnded(known) && hasEnded(fetched)) continue;
      const result = await refresh({
        subscriptionId: fetched.id,
        actor,
        customer,
        first: { stored: known, fetched },
      });
      note(result);
      current.push(result.outcome === 'saved' ? result.fetched : fetched);
    }
    for (const missing of stored.values()) {
      if (hasEnded(missing)) continue;
      // It may be of a customer who has given way and is linked no more: who else would hear of its end?
      const owner = { ...customer, customerId: missing.customerId };
      const result = await refresh({ subscriptionId: missing.id, actor, customer: owner });
      note(result);
      if (result.outcome === 'unknown_subscription') unknown.push(missing);
      if (result.outcome === 'saved') current.push(result.fetched);
    }
    return { live: liveSubscriptions(current), unknown, checked, changed };
  };
}
