import { randomUUID } from 'node:crypto';
import type { BillingRepository, EventKey, EventOutcome, InboxEvent } from '@tollgate/core';
import type { Sql, SqlValue } from '../database/database.ts';
import { toSqlInstant } from '../database/sql-values.ts';
import { purge } from './purge.ts';
import type { Store } from './store.ts';
import { writeSubscription } from './subscriptions.ts';

const COLUMNS = `provider, livemode, id, type, customer_id as "customerId", subscription_id as "subscriptionId",
  created_at as "createdAt"`;
const toKeyValues = ({ provider, livemode, id }: EventKey): SqlValue[] => [provider, livemode, id];

type InboxMethods = 'claimEvent' | 'finishEvent' | 'releaseEvent' | 'listUnmatched' | 'purgeEvents';

async function dropOldestUnmatched(sql: Sql, s: string, keep: number): Promise<void> {
  // The outer condition is checked on the locked row: the event may have been done while this statement waited for it.
  await sql(
    `delete from ${s}.inbox where result = 'unmatched' and (provider, livemode, id) in (
       select provider, livemode, id from ${s}.inbox where result = 'unmatched'
       order by created_at desc, id desc offset $1
     )`,
    [keep],
  );
}

/** The part of the repository that gives every event exactly one effect. */
export function inboxMethods(store: Store): Pick<BillingRepository, InboxMethods> {
  const { database, ask, s, now } = store;
  return {
    claimEvent: ({ event, leaseMs }) =>
      database.transaction(async (sql) => {
        const token = randomUUID();
        // First claim and take-over are one statement: of racing callers, one gets a row back.
        const claimed = await sql(
          `insert into ${s}.inbox as known (provider, livemode, id, type, customer_id, subscription_id, created_at,
             token, claimed_at, claimed_until)
           values ($1, $2, $3, $4, $5, $6, $7, $8, ${now}, ${now} + $9 * interval '1 millisecond')
           on conflict (provider, livemode, id) do update
             set token = excluded.token, claimed_at = excluded.claimed_at, claimed_until = excluded.claimed_until
             where (known.result is null or known.result = 'unmatched')
               and (known.token is null or known.claimed_until <= ${now})
           returning id`,
          [
            ...toKeyValues(event),
            event.type,
            event.customerId,
            event.subscriptionId,
            toSqlInstant(event.createdAt),
            token,
            leaseMs,
          ],
        );
        if (claimed.length > 0) return { outcome: 'claimed', token };
        const [row] = await sql<{ result: EventOutcome | null }>(
          `select result from ${s}.inbox where provider = $1 and livemode = $2 and id = $3`,
          toKeyValues(event),
        );
        const result = row?.result ?? null;
        return result === null || result === 'unmatched' ? { outcome: 'busy' } : { outcome: 'done', result };
      }),

    finishEvent: ({ event, token, result, maxUnmatched, effect }) =>
      database.transaction(async (sql) => {
        const key = toKeyValues(event);
        const [claim] = await sql(
          `select id from ${s}.inbox
           where provider = $1 and livemode = $2 and id = $3 and token = $4 and claimed_until > ${now}
           for update`,
          [...key, token],
        );
        if (claim === undefined) return 'lost';
        if (effect !== null && (await writeSubscription(sql, store, effect)) === 'conflict')
          return 'conflict';
        await sql(
          `update ${s}.inbox set result = $4, token = null where provider = $1 and livemode = $2 and id = $3`,
          [...key, result],
        );
        if (result === 'unmatched') await dropOldestUnmatched(sql, s, maxUnmatched);
        return 'done';
      }),

    releaseEvent: async ({ event, token }) => {
      await ask(
        `update ${s}.inbox set token = null
         where provider = $1 and livemode = $2 and id = $3 and token = $4`,
        [...toKeyValues(event), token],
      );
    },

    listUnmatched: ({ provider, customerId }) =>
      ask<InboxEvent>(
        `select ${COLUMNS} from ${s}.inbox
         where result = 'unmatched' and provider = $1 and customer_id = $2
         order by created_at, id`,
        [provider, customerId],
      ),

    purgeEvents: ({ before }) =>
      purge(store, 'inbox', {
        condition: 'result is not null and claimed_at < $1',
        order: 'claimed_at',
        value: toSqlInstant(before),
      }),
  };
}
