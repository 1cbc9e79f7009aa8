import type { OrgViews } from '../org/org-views.ts';
import type { AuditEntry, Customer, StoredSubscription, Subscription } from '../ports/billing-repository.ts';
import type { ProviderSubscription } from '../ports/payment-provider.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import { createKeyedQueue } from './keyed-queue.ts';
import { hasEnded, nextSubscription } from './next-subscription.ts';
import { changeAudit, differs, type OnSubscriptionChanged } from './subscription-changed.ts';

const MAX_TRIES = 8;

/** Writes the next state if the stored version is still the expected one. */
export type SaveState = (write: {
  readonly subscription: Subscription;
  readonly expectedVersion: number | null;
  readonly audit: AuditEntry | null;
}) => Promise<'saved' | 'conflict' | 'lost'>;

export interface RefreshRequest {
  readonly subscriptionId: string;
  /** Who caused it, for the audit trail. */
  readonly actor: string;
  /** The customer that the caller believes it belongs to; null if it knows none. */
  readonly customer: Customer | null;
  /** A state to try first, fetched after the stored version was read. */
  readonly first?: { readonly stored: StoredSubscription | null; readonly fetched: ProviderSubscription };
  /** A change at the provider that returns the new state: made once, after the stored version is read. */
  readonly change?: () => Promise<ProviderSubscription>;
  /** @default the repository's saveSubscription */
  readonly save?: SaveState;
}

export type Refreshed =
  | {
      readonly outcome: 'saved';
      readonly before: StoredSubscription | null;
      readonly after: Subscription;
      readonly fetched: ProviderSubscription;
    }
  /** The provider knows no such subscription. */
  | { readonly outcome: 'unknown_subscription'; readonly stored: StoredSubscription | null }
  /** Its customer pays for no org here. */
  | { readonly outcome: 'unknown_customer'; readonly customerId: string }
  /** It belongs to another customer or org than expected: nothing is written. */
  | { readonly outcome: 'mismatch' }
  /** `save` returned `lost`. */
  | { readonly outcome: 'lost' }
  /** Other writers kept writing it, each with a state fetched later than ours. */
  | { readonly outcome: 'contended' };

/** Updates the stored state of one subscription from the provider. In one process, calls for one subscription run one after another. */
export type Refresh = (request: RefreshRequest) => Promise<Refreshed>;

/** Creates the one path on which events, checkouts and syncs write subscriptions. */
export function createRefresh(
  wiring: Pick<Wiring, 'repository' | 'provider' | 'clock' | 'logger'>,
  orgViews: Pick<OrgViews, 'drop'>,
  onSubscriptionChanged: OnSubscriptionChanged,
): Refresh {
  const { repository, clock, logger } = wiring;
  const queue = createKeyedQueue();

  async function refresh(request: RefreshRequest): Promise<Refreshed> {
    const provider = configured(wiring.provider);
    const key = { provider: provider.name, id: request.subscriptionId };
    const save: SaveState = request.save ?? ((write) => repository.saveSubscription(write));
    let { first, change } = request;
    for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
      // The version is read before the provider is asked, so that a write which succeeds is never older than the one it replaces.
      const stored = first === undefined ? await repository.findSubscription(key) : first.stored;
      const ask = change ?? (() => provider.fetchSubscription({ subscriptionId: key.id }));
      const fetched = first === undefined ? await callProvider(ask) : first.fetched;
      first = undefined;
      change = undefined;

      if (fetched === null) return { outcome: 'unknown_subscription', stored };
      const { customerId } = fetched;
      const customer =
        request.customer ?? (await repository.findCustomer({ provider: provider.name, customerId }));
      if (customer === null) return { outcome: 'unknown_customer', customerId };
      if (!belongs(key.id, fetched, stored, customer)) {
        logger.error(
          'A subscription belongs to another customer or org than it should. Nothing was written.',
          { org: customer.org, provider: provider.name, subscription: key.id },
        );
        return { outcome: 'mismatch' };
      }
      if (stored !== null && hasEnded(stored) && !hasEnded(fetched)) {
        logger.warn('A subscription that ended here is live at the provider. It stays ended.', {
          org: customer.org,
          provider: provider.name,
          subscription: key.id,
        });
      }

      const now = clock.now();
      const after = nextSubscription({ stored, fetched, provider: provider.name, org: customer.org, now });
      const audit = changeAudit({ before: stored, after, actor: request.actor, at: now });
      const saved = await save({ subscription: after, expectedVersion: stored?.version ?? null, audit });
      if (saved === 'lost') return { outcome: 'lost' };
      if (saved === 'conflict') continue;
      orgViews.drop(customer.org);
      if (stored?.tier !== null && after.tier === null && !hasEnded(after)) {
        logger.warn('A live subscription is on a price that is in no tier here: it grants nothing.', {
          org: after.org,
          provider: provider.name,
          subscription: key.id,
        });
      }
      if (differs(stored, after)) await onSubscriptionChanged(stored, after);
      return { outcome: 'saved', before: stored, after, fetched };
    }
    return { outcome: 'contended' };
  }

  return (request) => queue(request.subscriptionId, () => refresh(request));
}

function belongs(
  id: string,
  fetched: ProviderSubscription,
  stored: StoredSubscription | null,
  customer: Customer,
): boolean {
  if (fetched.id !== id || fetched.customerId !== customer.customerId) return false;
  return stored === null || stored.org === customer.org;
}
