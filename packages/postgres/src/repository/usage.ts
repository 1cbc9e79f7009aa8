import type { BillingRepository, UsageSnapshot } from '@tollgate/core';
import { toSqlInstant } from '../database/sql-values.ts';
import { purge } from './purge.ts';
import type { Store } from './store.ts';

/** The part of the repository that stores metered usage, for counters that lost theirs. */
export function usageMethods(
  store: Store,
): Pick<BillingRepository, 'saveUsage' | 'loadUsage' | 'purgeUsage'> {
  const { ask, s } = store;
  return {
    saveUsage: async (snapshots) => {
      if (snapshots.length === 0) return;
      const rows = snapshots.map((snapshot) => ({ ...snapshot, endsAt: toSqlInstant(snapshot.endsAt) }));
      // Grouped, since one statement cannot write a row twice. Ordered, so that two writers never deadlock.
      await ask(
        `insert into ${s}.usage as known (org, key, window_label, used, ends_at)
         select org, key, "window", max(used), max("endsAt")
         from jsonb_to_recordset($1::jsonb) as snapshot (
           org text, key text, "window" text, used bigint, "endsAt" timestamptz
         )
         group by org, key, "window" order by org, key, "window"
         on conflict (org, key, window_label) do update
           set used = greatest(known.used, excluded.used), ends_at = coalesce(excluded.ends_at, known.ends_at)`,
        [JSON.stringify(rows)],
      );
    },

    loadUsage: async ({ org, windows }) => {
      if (windows.length === 0) return [];
      const stored = await ask<UsageSnapshot & { position: number }>(
        // One look-up per window: with statistics that do not know an org's sessions yet, the planner would read all of them.
        `select asked.position - 1 as position, known.org, known.key, known.window_label as "window",
           known.used, known.ends_at as "endsAt"
         from rows from (jsonb_to_recordset($2::jsonb) as (key text, "window" text))
           with ordinality as asked (key, window_label, position),
         lateral (
           select * from ${s}.usage
           where org = $1 and key = asked.key and window_label = asked.window_label limit 1) as known`,
        [org, JSON.stringify(windows)],
      );
      const byPosition = new Map(stored.map(({ position, ...snapshot }) => [position, snapshot]));
      return windows.map((_, position) => byPosition.get(position) ?? null);
    },

    purgeUsage: ({ before }) =>
      purge(store, 'usage', { condition: 'ends_at < $1', order: 'ends_at', value: toSqlInstant(before) }),
  };
}
