import type {
  BillingRepository,
  CheckoutAttempt,
  EventOutcome,
  Override,
  StoredSubscription,
} from '@tollgate/core';
import type { BillingRepositoryHost } from '@tollgate/testing';
import { repositoryOn } from './postgres-repository.ts';
import type { TestingDatabase } from './testing-database.test-support.ts';

/** SQL of an instant as a number. The raw readers below use nothing of the adapter's own. */
const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;

/** Runs the contract on a schema of its own, which is emptied for every test. Call `drop` at the end. */
export function repositoryHostOn(
  name: string,
  make: () => Promise<TestingDatabase>,
  outage: BillingRepositoryHost['outage'],
): BillingRepositoryHost & { drop(): Promise<void> } {
  let database: TestingDatabase;
  let isMade = false;
  const repository = () => repositoryOn(database.open(), database.s, database.clockSql);
  const one = async <Row>(text: string, values: unknown[]) =>
    (await database.raw<Row>(text, values))[0] ?? null;
  return {
    name,
    async create() {
      if (!isMade) database = await make();
      isMade = true;
      await database.clear();
      return repository();
    },
    createPeer: repository,
    inspect: {
      subscription: (_, { provider, id }) =>
        one<StoredSubscription>(
          `select provider, id, org, customer_id as "customerId", tier, status, quantity::float8,
             billing_interval as "interval", ${ms('created_at')} as "createdAt",
             ${ms('current_period_ends_at')} as "currentPeriodEndsAt", ${ms('trial_ends_at')} as "trialEndsAt",
             ${ms('cancels_at')} as "cancelsAt", scheduled_tier as "scheduledTier",
             ${ms('scheduled_at')} as "scheduledAt", ${ms('past_due_at')} as "pastDueAt",
             ${ms('ended_at')} as "endedAt", version::float8
           from ${database.s}.subscriptions where provider = $1 and id = $2`,
          [provider, id],
        ),
      event: (_, { provider, livemode, id }) =>
        one<{ result: EventOutcome | null }>(
          `select result from ${database.s}.inbox where provider = $1 and livemode = $2 and id = $3`,
          [provider, livemode, id],
        ),
      checkout: (_, org) =>
        one<CheckoutAttempt>(
          `select id, org, provider, tier, state, session_id as "sessionId", url, ${ms('expires_at')} as "expiresAt"
           from ${database.s}.checkouts where org = $1`,
          [org],
        ),
      override: (_, id) =>
        one<Override>(
          `select id, subject_type as "subjectType", subject_id as "subjectId", key, period,
             limit_value::float8 as "limit", ${ms('expires_at')} as "expiresAt", reason, created_by as "createdBy",
             ${ms('created_at')} as "createdAt", ${ms('updated_at')} as "updatedAt"
           from ${database.s}.overrides where id = $1`,
          [id],
        ),
      async rows() {
        const tables = await database.raw<{ name: string }>(
          `select table_name as name from information_schema.tables
           where table_schema = $1 and table_name <> 'migrations'`,
          [database.s],
        );
        let rows = 0;
        for (const { name: table } of tables) {
          const [counted] = await database.raw<{ count: number }>(
            `select count(*)::float8 from ${database.s}.${table}`,
          );
          rows = rows + (counted?.count ?? 0);
        }
        return rows;
      },
    },
    clock: { now: () => database.now(), advance: (_, by) => database.advance(by) },
    timing: { leaseMs: 30_000, slackMs: 0 },
    teardown: (made: BillingRepository) => made.close(),
    outage,
    drop: async () => {
      if (isMade) await database.drop();
    },
  };
}
