import type { BillingRepository, RowAction, SweepClaim, SweepList } from '@tollgate/core';
import type { Sql, SqlValue } from '../database/database.ts';
import { toSqlInstant } from '../database/sql-values.ts';
import type { Store } from './store.ts';

/**
 * Puts orgs on the sweep list in the caller's transaction, due at the instant `$2`; an earlier due instant stays.
 * Rows are written in the order of the orgs' names, so that two callers never deadlock.
 */
async function putOnList(
  sql: Sql,
  s: string,
  orgs: readonly string[],
  due: string,
  values: SqlValue[],
): Promise<void> {
  await sql(
    `insert into ${s}.sweeps as known (org, due_at)
     select org, ${due} from jsonb_array_elements_text($1::jsonb) as org group by org order by org
     on conflict (org) do update set due_at = least(known.due_at, excluded.due_at)`,
    [JSON.stringify(orgs), ...values],
  );
}

/** Puts an org on the sweep list, due at an instant. */
export function watchFrom(sql: Sql, { s }: Store, org: string, dueAt: number): Promise<void> {
  return putOnList(sql, s, [org], '$2::timestamptz', [toSqlInstant(dueAt)]);
}

/** Puts orgs on the sweep list, due at once. */
export function watchNow(sql: Sql, { s, now }: Store, orgs: readonly string[]): Promise<void> {
  return putOnList(sql, s, orgs, now, []);
}

async function writeRowActions(
  sql: Sql,
  s: string,
  org: string,
  actions: readonly RowAction[],
): Promise<void> {
  // One statement cannot write a row twice: the last action for a row wins.
  const byRow = new Map(actions.map((action) => [JSON.stringify([action.resource, action.id]), action]));
  await sql(
    `insert into ${s}.row_actions (org, resource, id, action, state, key, sighted_at)
     select $1, resource, id, action, state, key, "sightedAt"
     from jsonb_to_recordset($2::jsonb) as saved (
       resource text, id text, action text, state text, key text, "sightedAt" timestamptz
     )
     on conflict (org, resource, id) do update
       set action = excluded.action, state = excluded.state, key = excluded.key, sighted_at = excluded.sighted_at`,
    [
      org,
      JSON.stringify(
        [...byRow.values()].map((action) => ({ ...action, sightedAt: toSqlInstant(action.sightedAt) })),
      ),
    ],
  );
}

/** The part of the repository that hands orgs to sweepers and records what they did. */
export function sweepMethods(store: Store): Pick<BillingRepository, keyof SweepList> {
  const { database, ask, s, now } = store;
  /** Locks the org's row if the claim is still the caller's. */
  const holdClaim = async (sql: Sql, org: string, fence: number) => {
    const held = await sql(
      `select org from ${s}.sweeps where org = $1 and fence = $2 and claimed_until > ${now} for update`,
      [org, fence],
    );
    return held.length > 0;
  };
  return {
    watchOrgs: ({ orgs }) => database.transaction((sql) => watchNow(sql, store, orgs)),

    claimSweeps: ({ org, dueAt, limit, leaseMs }) =>
      database.transaction(async (sql) => {
        const [clock] = await sql<{ now: number }>(`select ${now} as now`);
        if (org !== null) {
          await sql(`insert into ${s}.sweeps (org) values ($1) on conflict (org) do nothing`, [org]);
        }
        const isFree = `(claimed_until is null or claimed_until <= ${now})`;
        const since = 'least(due_at, claimed_until)';
        // As a subselect the clock is evaluated once and can bound the index scan; evaluated per row, it would scan the whole list.
        const candidates =
          org !== null
            ? `select org, ${since} as since from ${s}.sweeps where org = $2 and ${isFree} for update`
            : `select org, ${since} as since from ${s}.sweeps
               where ${since} <= coalesce($2::timestamptz, (select ${now})) and ${isFree}
               order by ${since}, org limit $3 for update skip locked`;
        const claims = await sql<SweepClaim>(
          `with
             candidate as materialized (${candidates}),
             claimed as (
               update ${s}.sweeps
               set fence = fence + 1, due_at = null, claimed_until = ${now} + $1 * interval '1 millisecond'
               from candidate where sweeps.org = candidate.org
               returning sweeps.org, fence, since)
           select org, fence from claimed order by since, org`,
          org !== null ? [leaseMs, org] : [leaseMs, toSqlInstant(dueAt), limit],
        );
        return { now: clock?.now ?? 0, claims };
      }),

    loadRowActions: (org) =>
      ask<RowAction>(
        `select resource, id, action, state, key, sighted_at as "sightedAt"
         from ${s}.row_actions where org = $1 order by resource, id`,
        [org],
      ),

    saveRowActions: ({ org, fence, leaseMs, save, forget }) =>
      database.transaction(async (sql) => {
        if (!(await holdClaim(sql, org, fence))) return false;
        await sql(
          `update ${s}.sweeps set claimed_until = ${now} + $2 * interval '1 millisecond' where org = $1`,
          [org, leaseMs],
        );
        if (forget.length > 0) {
          await sql(
            `delete from ${s}.row_actions using jsonb_to_recordset($2::jsonb) as forgotten (resource text, id text)
             where org = $1 and row_actions.resource = forgotten.resource and row_actions.id = forgotten.id`,
            [org, JSON.stringify(forget)],
          );
        }
        if (save.length > 0) await writeRowActions(sql, s, org, save);
        return true;
      }),

    finishSweep: ({ org, fence, lookAt }) =>
      database.transaction(async (sql) => {
        if (!(await holdClaim(sql, org, fence))) return false;
        await sql(
          `update ${s}.sweeps set claimed_until = null, due_at = least(due_at, $2::timestamptz) where org = $1`,
          [org, toSqlInstant(lookAt)],
        );
        return true;
      }),

    moveCrossing: ({ org, subject, spell, level }) =>
      database.transaction(async (sql) => {
        await sql(
          `insert into ${s}.crossings (org, subject, spell, level) values ($1, $2, $3, 0)
           on conflict (org, subject) do nothing`,
          [org, subject, spell],
        );
        const [known] = await sql<{ spell: number; level: number }>(
          `select spell, level from ${s}.crossings where org = $1 and subject = $2 for update`,
          [org, subject],
        );
        if (known === undefined || known.spell > spell) return level;
        await sql(`update ${s}.crossings set spell = $3, level = $4 where org = $1 and subject = $2`, [
          org,
          subject,
          spell,
          level,
        ]);
        return known.spell === spell ? known.level : 0;
      }),
  };
}
