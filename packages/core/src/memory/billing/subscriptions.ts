import type { AuditEntry, BillingRepository, Subscription } from '../../ports/billing-repository.ts';
import { writeAudit } from './audit.ts';
import { watchFrom } from './sweeps.ts';
import type { Synchronous } from './synchronous.ts';
import { byTexts, keyOf, pageOf, type TableStore } from './tables.ts';

/** If the stored version is still the expected one, writes a subscription with its audit entry, and puts the org on the sweep's list. */
export function writeSubscription(
  { tables, clock }: TableStore,
  write: {
    readonly subscription: Subscription;
    readonly expectedVersion: number | null;
    readonly audit: AuditEntry | null;
  },
): 'saved' | 'conflict' {
  const { subscription, expectedVersion, audit } = write;
  const name = keyOf(subscription.provider, subscription.id);
  if ((tables.subscriptions.get(name)?.version ?? null) !== expectedVersion) return 'conflict';
  tables.subscriptions.set(name, { ...subscription, version: (expectedVersion ?? 0) + 1 });
  watchFrom(tables, subscription.org, clock.now());
  writeAudit(tables, audit);
  return 'saved';
}

/** The repository's methods for subscriptions. */
export function subscriptionMethods(
  store: TableStore,
): Synchronous<Pick<BillingRepository, 'findSubscription' | 'saveSubscription' | 'listSubscriptions'>> {
  const { subscriptions } = store.tables;
  return {
    findSubscription: ({ provider, id }) => subscriptions.get(keyOf(provider, id)) ?? null,
    saveSubscription: (write) => writeSubscription(store, write),
    listSubscriptions({ after, limit }) {
      const order = byTexts((row: { provider: string; id: string }) => [row.provider, row.id]);
      return pageOf(subscriptions.values(), { after, limit, order });
    },
  };
}
