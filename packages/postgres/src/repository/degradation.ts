import type { BillingRepository, Degradation, Flag } from '@tollgate/core';
import type { Sql } from '../database/database.ts';
import { toSqlInstant } from '../database/sql-values.ts';
import { writeAudit } from './audit.ts';
import type { Store } from './store.ts';
import { watchFrom } from './sweeps.ts';

type DegradationMethods = 'loadDegradation' | 'setSelectionPolicy' | 'setPin' | 'saveDegradation';

/** SQL of an instant inside JSON, epoch ms. */
const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::bigint`;

/** Locks the org's row, so that writers of one org's lifecycle take turns. Returns its version; null if there is no row. */
async function lockRow(sql: Sql, s: string, org: string): Promise<number | null> {
  const [row] = await sql<{ version: number }>(
    `select version from ${s}.degradations where org = $1 for update`,
    [org],
  );
  return row?.version ?? null;
}

/**
 * Inserts the row that {@link lockRow} did not find. Of two first writers, one gets a unique violation: its transaction is retried and
 * finds the other's row.
 */
async function makeRow(sql: Sql, s: string, org: string, version: number | null): Promise<void> {
  if (version === null) await sql(`insert into ${s}.degradations (org, version) values ($1, 0)`, [org]);
}

async function replaceFlags(sql: Sql, s: string, org: string, flags: readonly Flag[]): Promise<void> {
  await sql(`delete from ${s}.flags where org = $1`, [org]);
  if (flags.length === 0) return;
  const rows = flags.map((flag, position) => ({
    ...flag,
    position,
    flaggedAt: toSqlInstant(flag.flaggedAt),
    markedAt: toSqlInstant(flag.markedAt),
  }));
  await sql(
    `insert into ${s}.flags (org, position, resource, id, state, flagged_at, marked_at)
     select $1, position, resource, id, state, "flaggedAt", "markedAt"
     from jsonb_to_recordset($2::jsonb) as flag (
       position bigint, resource text, id text, state text, "flaggedAt" timestamptz, "markedAt" timestamptz
     )`,
    [org, JSON.stringify(rows)],
  );
}

/** The part of the repository that stores the over-capacity lifecycle. */
export function degradationMethods(store: Store): Pick<BillingRepository, DegradationMethods> {
  const { database, s, now } = store;
  return {
    loadDegradation: (org) =>
      database.transaction(async (sql) => {
        // One statement reads one version and takes no lock, so a read-only database can answer it.
        const [row] = await sql<Degradation>(
          `select policy, over_capacity_at as "overCapacityAt", stage, version, ${now} as "readAt",
             (select coalesce(jsonb_agg(jsonb_build_object('resource', resource, 'id', id, 'state', state,
                'flaggedAt', ${ms('flagged_at')}, 'markedAt', ${ms('marked_at')}) order by position), '[]')
              from ${s}.flags where org = $1) as flags,
             (select coalesce(jsonb_agg(jsonb_build_object('resource', resource, 'id', id) order by resource, id), '[]')
              from ${s}.pins where org = $1) as pins
           from ${s}.degradations where org = $1`,
          [org],
        );
        if (row !== undefined) return row;
        const [clock] = await sql<{ readAt: number }>(`select ${now} as "readAt"`);
        const readAt = clock?.readAt ?? 0;
        return { policy: null, overCapacityAt: null, stage: 'none', flags: [], pins: [], version: 0, readAt };
      }),

    setSelectionPolicy: async ({ org, policy, audit }) => {
      await database.transaction(async (sql) => {
        await makeRow(sql, s, org, await lockRow(sql, s, org));
        await sql(`update ${s}.degradations set policy = $2, version = version + 1 where org = $1`, [
          org,
          policy,
        ]);
        await writeAudit(sql, s, audit);
      });
    },

    setPin: ({ org, pin, keep, maxPins, audit }) =>
      database.transaction(async (sql) => {
        const version = await lockRow(sql, s, org);
        const [pinned] = await sql<{ isPinned: boolean; count: number }>(
          `select count(*) filter (where id = $3) > 0 as "isPinned", count(*)
           from ${s}.pins where org = $1 and resource = $2`,
          [org, pin.resource, pin.id],
        );
        if (pinned?.isPinned === keep) return 'saved';
        if (keep && maxPins !== null && (pinned?.count ?? 0) >= maxPins) return 'limit_reached';
        await makeRow(sql, s, org, version);
        await sql(
          keep
            ? `insert into ${s}.pins (org, resource, id) values ($1, $2, $3)`
            : `delete from ${s}.pins where org = $1 and resource = $2 and id = $3`,
          [org, pin.resource, pin.id],
        );
        await sql(`update ${s}.degradations set version = version + 1 where org = $1`, [org]);
        await writeAudit(sql, s, audit);
        return 'saved';
      }),

    saveDegradation: ({ org, expectedVersion, overCapacityAt, stage, flags, lookAt }) =>
      database.transaction(async (sql) => {
        const version = await lockRow(sql, s, org);
        if ((version ?? 0) !== expectedVersion) return 'conflict';
        await makeRow(sql, s, org, version);
        await sql(
          `update ${s}.degradations set over_capacity_at = $2, stage = $3, version = version + 1 where org = $1`,
          [org, toSqlInstant(overCapacityAt), stage],
        );
        await replaceFlags(sql, s, org, flags);
        if (lookAt !== null) await watchFrom(sql, store, org, lookAt);
        return 'saved';
      }),
  };
}
