import type {
  AuditEntry,
  BillingRepository,
  Customer,
  Override,
  StoredSubscription,
  Subscription,
} from '@tollgate/core';
import { writeAudit } from './audit.ts';
import { type HostDatabase, type HostTransaction, nameOf, sortBy } from './host-database.ts';
import { watch } from './lifecycle.ts';

// #region write-subscription
/** Compare and set: the write happens if and only if nobody wrote since the caller read the version. */
export async function writeSubscription(
  tx: HostTransaction,
  write: { subscription: Subscription; expectedVersion: number | null; audit: AuditEntry | null },
): Promise<'saved' | 'conflict'> {
  const { subscription, expectedVersion, audit } = write;
  const name = nameOf(subscription.provider, subscription.id);
  const stored = await tx.get<StoredSubscription>('subscriptions', name);
  if ((stored?.version ?? null) !== expectedVersion) return 'conflict';
  await tx.put('subscriptions', name, { ...subscription, version: (expectedVersion ?? 0) + 1 });
  // In the same transaction: the org may now be over a limit, and who did it is on record.
  await watch(tx, subscription.org, await tx.now());
  await writeAudit(tx, audit);
  return 'saved';
}
// #endregion

type Methods =
  | 'loadOrg'
  | 'linkCustomer'
  | 'replaceCustomer'
  | 'findCustomer'
  | 'listCustomers'
  | 'findSubscription'
  | 'saveSubscription'
  | 'listSubscriptions'
  | 'upsertOverride'
  | 'listOverrides'
  | 'listAudit';

/** Who pays for whom and for what, operators' limits, and who changed what. */
export function subscriptionMethods({ transaction }: HostDatabase): Pick<BillingRepository, Methods> {
  const byProvider = ({ provider }: { provider: string }) => provider;
  const byId = ({ id }: { id: string }) => id;
  return {
    loadOrg: (org) =>
      transaction(async (tx) => {
        const ofOrg = <Row extends { org: string }>(rows: readonly Row[]) =>
          rows.filter((row) => row.org === org);
        const overrides = await tx.all<Override>('overrides');
        return {
          customers: sortBy(ofOrg(await tx.all<Customer>('customers')), byProvider),
          subscriptions: sortBy(ofOrg(await tx.all<StoredSubscription>('subscriptions')), byProvider, byId),
          overrides: sortBy(
            overrides.filter(({ subjectType, subjectId }) => subjectType === 'org' && subjectId === org),
            byId,
          ),
        };
      }),

    linkCustomer: (customer) =>
      transaction(async (tx) => {
        const name = nameOf(customer.org, customer.provider);
        const stored = await tx.get<Customer>('customers', name);
        if (stored !== null) return stored;
        await tx.put('customers', name, customer);
        return customer;
      }),
    replaceCustomer: ({ customer, gone }) =>
      transaction(async (tx) => {
        const name = nameOf(customer.org, customer.provider);
        const stored = await tx.get<Customer>('customers', name);
        if (stored !== null && stored.customerId !== gone) return stored;
        await tx.put('customers', name, customer);
        return customer;
      }),
    findCustomer: ({ provider, customerId }) =>
      transaction(async (tx) => {
        const customers = await tx.all<Customer>('customers');
        return customers.find((row) => row.provider === provider && row.customerId === customerId) ?? null;
      }),
    listCustomers: ({ after, limit }) =>
      transaction(async (tx) => {
        const sorted = sortBy(
          await tx.all<Customer>('customers'),
          byProvider,
          ({ customerId }) => customerId,
        );
        const isAfter = ({ provider, customerId }: Customer) =>
          after === null ||
          provider > after.provider ||
          (provider === after.provider && customerId > after.customerId);
        return sorted.filter(isAfter).slice(0, limit);
      }),

    findSubscription: ({ provider, id }) =>
      transaction((tx) => tx.get('subscriptions', nameOf(provider, id))),
    saveSubscription: (write) => transaction((tx) => writeSubscription(tx, write)),
    listSubscriptions: ({ after, limit }) =>
      transaction(async (tx) => {
        const sorted = sortBy(await tx.all<StoredSubscription>('subscriptions'), byProvider, byId);
        const isAfter = ({ provider, id }: StoredSubscription) =>
          after === null || provider > after.provider || (provider === after.provider && id > after.id);
        return sorted.filter(isAfter).slice(0, limit);
      }),

    // #region upsert-override
    upsertOverride: ({ override, actor }) =>
      transaction(async (tx) => {
        const { subjectType, subjectId, key, period } = override;
        const name = nameOf(subjectType, subjectId, key, period);
        const before = await tx.get<Override>('overrides', name);
        // Links to an override outlive its changes: its id and its first moment stay.
        const after =
          before === null ? override : { ...override, id: before.id, createdAt: before.createdAt };
        await tx.put('overrides', name, after);
        if (subjectType === 'org') await watch(tx, subjectId, await tx.now());
        const what = { action: 'override.set', subject: after.id, before, after } as const;
        await writeAudit(tx, { at: override.updatedAt, org: subjectId, actor, ...what });
        return after;
      }),
    // #endregion
    listOverrides: ({ liveAt }) =>
      transaction(async (tx) => {
        const isLive = ({ expiresAt }: Override) =>
          liveAt === null || expiresAt === null || liveAt < expiresAt;
        return sortBy((await tx.all<Override>('overrides')).filter(isLive), byId);
      }),

    listAudit: ({ org, before, limit }) =>
      transaction(async (tx) => {
        const entries = (await tx.all<AuditEntry & { position: number }>('audit')).filter(
          (entry) =>
            entry.action !== undefined &&
            (org === null || entry.org === org) &&
            entry.position < (before ?? Infinity),
        );
        return entries.sort((a, b) => b.position - a.position).slice(0, limit);
      }),
  };
}
