import type { AuditEntry, BillingRepository, StoredSubscription, Subscription } from '@tollgate/core';
import type { Sql, SqlValue } from '../database/database.ts';
import { toSqlInstant } from '../database/sql-values.ts';
import { writeAudit } from './audit.ts';
import type { Store } from './store.ts';
import { watchNow } from './sweeps.ts';

/** A subscription's columns under the port's names. */
export const SUBSCRIPTION_COLUMNS = `provider, id, org, customer_id as "customerId", tier, status, quantity,
  billing_interval as "interval", created_at as "createdAt", current_period_ends_at as "currentPeriodEndsAt",
  trial_ends_at as "trialEndsAt", cancels_at as "cancelsAt", scheduled_tier as "scheduledTier",
  scheduled_at as "scheduledAt", past_due_at as "pastDueAt", ended_at as "endedAt", version`;

function toValues(subscription: Subscription): SqlValue[] {
  return [
    subscription.provider,
    subscription.id,
    subscription.org,
    subscription.customerId,
    subscription.tier,
    subscription.status,
    subscription.quantity,
    subscription.interval,
    toSqlInstant(subscription.createdAt),
    toSqlInstant(subscription.currentPeriodEndsAt),
    toSqlInstant(subscription.trialEndsAt),
    toSqlInstant(subscription.cancelsAt),
    subscription.scheduledTier,
    toSqlInstant(subscription.scheduledAt),
    toSqlInstant(subscription.pastDueAt),
    toSqlInstant(subscription.endedAt),
  ];
}

export interface SubscriptionWrite {
  readonly subscription: Subscription;
  readonly expectedVersion: number | null;
  readonly audit: AuditEntry | null;
}

/** Writes a subscription in the caller's transaction if its version is the expected one; otherwise writes nothing. */
export async function writeSubscription(
  sql: Sql,
  store: Store,
  write: SubscriptionWrite,
): Promise<'saved' | 'conflict'> {
  const { s } = store;
  const { subscription, expectedVersion, audit } = write;
  const values = toValues(subscription);
  const written =
    expectedVersion === null
      ? await sql(
          `insert into ${s}.subscriptions (provider, id, org, customer_id, tier, status, quantity, billing_interval,
             created_at, current_period_ends_at, trial_ends_at, cancels_at, scheduled_tier, scheduled_at,
             past_due_at, ended_at, version)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1)
           on conflict (provider, id) do nothing
           returning version`,
          values,
        )
      : await sql(
          `update ${s}.subscriptions
           set org = $3, customer_id = $4, tier = $5, status = $6, quantity = $7, billing_interval = $8,
             created_at = $9, current_period_ends_at = $10, trial_ends_at = $11, cancels_at = $12,
             scheduled_tier = $13, scheduled_at = $14, past_due_at = $15, ended_at = $16, version = version + 1
           where provider = $1 and id = $2 and version = $17
           returning version`,
          [...values, expectedVersion],
        );
  if (written.length === 0) return 'conflict';
  await watchNow(sql, store, [subscription.org]);
  await writeAudit(sql, s, audit);
  return 'saved';
}

/** The part of the repository that stores subscriptions. */
export function subscriptionMethods(
  store: Store,
): Pick<BillingRepository, 'findSubscription' | 'saveSubscription' | 'listSubscriptions'> {
  const { database, ask, s } = store;
  return {
    findSubscription: async ({ provider, id }) => {
      const [subscription] = await ask<StoredSubscription>(
        `select ${SUBSCRIPTION_COLUMNS} from ${s}.subscriptions where provider = $1 and id = $2`,
        [provider, id],
      );
      return subscription ?? null;
    },

    saveSubscription: (request) => database.transaction((sql) => writeSubscription(sql, store, request)),

    listSubscriptions: ({ after, limit }) =>
      ask<StoredSubscription>(
        `select ${SUBSCRIPTION_COLUMNS} from ${s}.subscriptions
         where (provider, id) > ($1, $2)
         order by provider, id limit $3`,
        [after?.provider ?? '', after?.id ?? '', limit],
      ),
  };
}
