import type { BillingRepository, CheckoutAttempt } from '@tollgate/core';
import { toSqlInstant } from '../database/sql-values.ts';
import { writeAudit } from './audit.ts';
import type { Store } from './store.ts';

const COLUMNS = `id, org, provider, tier, state, session_id as "sessionId", url, expires_at as "expiresAt"`;

/** The part of the repository that lets an org have one checkout at a time. */
export function checkoutMethods({
  database,
  ask,
  s,
  now,
}: Store): Pick<BillingRepository, 'claimCheckout' | 'saveCheckout' | 'closeCheckout'> {
  return {
    claimCheckout: ({ org, provider, tier, id, leaseMs }) =>
      database.transaction(async (sql) => {
        const claimed: CheckoutAttempt = {
          id,
          org,
          provider,
          tier,
          state: 'creating',
          sessionId: null,
          url: null,
          expiresAt: null,
        };
        const inserted = await sql(
          `insert into ${s}.checkouts (org, provider, tier, id, state, claimed_until)
           values ($1, $2, $3, $4, 'creating', ${now} + $5 * interval '1 millisecond')
           on conflict (org) do nothing
           returning org`,
          [org, provider, tier, id, leaseMs],
        );
        if (inserted.length > 0) return { outcome: 'claimed', attempt: claimed, replaces: null };

        const [row] = await sql<CheckoutAttempt & { isClaimed: boolean; hasPage: boolean }>(
          `select ${COLUMNS}, state = 'creating' and claimed_until > ${now} as "isClaimed",
             state <> 'closed' and session_id is not null and (expires_at is null or expires_at > ${now}) as "hasPage"
           from ${s}.checkouts where org = $1 for update`,
          [org],
        );
        if (row === undefined || row.isClaimed) return { outcome: 'busy' };
        const { isClaimed: _, hasPage, ...stored } = row;
        if (hasPage && stored.state === 'open' && stored.provider === provider && stored.tier === tier)
          return { outcome: 'open', attempt: stored };
        // The page to be ended stays on record until the caller saves: if that process dies, the next caller learns of it.
        const kept = hasPage ? stored : claimed;
        await sql(
          `update ${s}.checkouts
           set provider = $2, tier = $3, id = $4, state = 'creating', session_id = $6, url = $7,
             expires_at = $8, claimed_until = ${now} + $5 * interval '1 millisecond'
           where org = $1`,
          [
            org,
            kept.provider,
            kept.tier,
            id,
            leaseMs,
            kept.sessionId,
            kept.url,
            toSqlInstant(kept.expiresAt),
          ],
        );
        return {
          outcome: 'claimed',
          attempt: claimed,
          replaces: hasPage ? { ...stored, state: 'closed' } : null,
        };
      }),

    saveCheckout: ({ attempt, audit }) =>
      database.transaction(async (sql) => {
        const saved = await sql(
          `update ${s}.checkouts
           set provider = $3, tier = $4, state = $5, session_id = $6, url = $7, expires_at = $8
           where org = $1 and id = $2 and state = 'creating' and claimed_until > ${now}
           returning org`,
          [
            attempt.org,
            attempt.id,
            attempt.provider,
            attempt.tier,
            attempt.state,
            attempt.sessionId,
            attempt.url,
            toSqlInstant(attempt.expiresAt),
          ],
        );
        if (saved.length === 0) return false;
        await writeAudit(sql, s, audit);
        return true;
      }),

    closeCheckout: async ({ org, provider, sessionId }) => {
      await ask(
        `update ${s}.checkouts set state = 'closed'
         where org = $1 and provider = $2 and session_id = $3 and state = 'open'`,
        [org, provider, sessionId],
      );
    },
  };
}
