import type { CounterRef } from '@tollgate/core';
import type { Sql } from '../database/database.ts';
import type { ChangedRows } from './changed-rows.ts';
import type { LedgerRows } from './ledger-rows.ts';

export interface OrgState {
  readonly rows: LedgerRows;
  /** The store's clock, in whole ms, after the org was locked. */
  readonly now: number;
  /** The last serial given out. */
  readonly serial: number;
  /** What tells one transaction from the next. */
  readonly transaction: string;
}

/** What is read of an org beside its reservations and their counters. Only what is asked for, since far more may be stored. */
export interface Asked {
  /** @default those whose time is over, which tidying needs */
  readonly counters?: readonly CounterRef[];
  /** A remembered id. */
  readonly reservation?: string;
  readonly adjustment?: string;
}

const rowsIn = (table: string, condition: string) =>
  `(select coalesce(jsonb_agg(to_jsonb(r)), '[]') from (select * from ${table} where ${condition}) r)`;

const refOf = ({ key, window }: CounterRef): CounterRef => ({ key, window });

/**
 * The counters in `$4` and those charged by the org's open reservations. They are looked up one by one, whatever the planner estimates: it
 * expects a hundred charges per reservation, and would rather read all counters of the org.
 */
const askedCounters = (s: string) => `
  select counter.* from unnest(array(
    select jsonb_build_array(key, "window") from jsonb_to_recordset($4::jsonb) as asked (key text, "window" text)
    union select jsonb_build_array(charge -> 'key', charge -> 'window')
    from ${s}.reservations, jsonb_array_elements(charges) as charge where org = $1)) as ref,
  lateral (
    select * from ${s}.counters where org = $1 and key = ref ->> 0 and window_label = ref ->> 1 limit 1) as counter`;

export interface OrgLock {
  /** What tells one transaction from the next. */
  readonly transaction: string;
  /** Whether nothing of the org is stored yet but the row that was inserted to lock it. */
  readonly isNew: boolean;
}

/** Locks the org against all other steps until the transaction ends. */
export async function lockOrg(sql: Sql, s: string, now: string, org: string): Promise<OrgLock> {
  for (let isNew = false; ; ) {
    const [row] = await sql<{ transaction: string }>(
      `select txid_current()::text as transaction from ${s}.counter_orgs where org = $1 for update`,
      [org],
    );
    if (row !== undefined) return { ...row, isNew };
    const made = await sql(
      `insert into ${s}.counter_orgs (org, version, serial, tidied_at)
       values ($1, 0, extract(epoch from ${now}) * 1000, extract(epoch from ${now}) * 1000)
       on conflict (org) do nothing returning org`,
      [org],
    );
    isNew = made.length > 0;
  }
}

/** Deletes the row that {@link lockOrg} inserted for an org of which nothing had to be stored. */
export async function dropOrg(sql: Sql, s: string, org: string): Promise<void> {
  await sql(`delete from ${s}.counter_orgs where org = $1`, [org]);
}

/** Reads an org's rows in one statement. */
export async function loadOrgRows(
  sql: Sql,
  s: string,
  now: string,
  org: string,
  { counters, reservation, adjustment }: Asked,
): Promise<OrgState> {
  const nowMs = `(select (extract(epoch from ${now}) * 1000)::bigint)`;
  const isOver = `case when known then forget_at else mark_ends_at end <= ${nowMs}`;
  const [state] = await sql<OrgState['rows'] & Omit<OrgState, 'rows'>>(
    `select ${nowMs} as now,
       coalesce((select serial from ${s}.counter_orgs where org = $1), 0) as serial,
       txid_current_if_assigned()::text as transaction,
       (select coalesce(
          jsonb_agg(to_jsonb(c) || jsonb_build_object('added', added::text, 'removed', removed::text)), '[]')
        from (${askedCounters(s)}
          ${counters ? '' : `union select * from ${s}.counters where org = $1 and ${isOver}`}) c) as counters,
       ${rowsIn(`${s}.reservations`, 'org = $1')} as reservations,
       ${rowsIn(`${s}.settled_reservations`, 'org = $1 and id = $2')} as settled,
       ${rowsIn(`${s}.adjustments`, 'org = $1 and id = $3')} as adjustments`,
    [org, reservation ?? null, adjustment ?? null, JSON.stringify((counters ?? []).map(refOf))],
  );
  if (state === undefined) throw new Error('A select without from answers one row.');
  const { now: instant, serial, transaction, ...rows } = state;
  return { rows, now: instant, serial, transaction };
}

export type OrgChanges = { readonly [Table in keyof LedgerRows]: ChangedRows<LedgerRows[Table][number]> };

/**
 * Writes what changed, in one statement. It always updates the org's own row: so a transaction on an older snapshot fails at its lock
 * instead of deciding on stale data.
 */
export async function saveOrgRows(
  sql: Sql,
  s: string,
  org: string,
  serial: number,
  { counters, reservations, settled, adjustments }: OrgChanges,
): Promise<void> {
  const ids = (rows: readonly { readonly id: string }[]) => JSON.stringify(rows.map(({ id }) => id));
  const dropById = (table: string, parameter: string) =>
    `delete from ${table} where org = $1 and id in (select jsonb_array_elements_text(${parameter}::jsonb))`;
  await sql(
    `with
       org as (update ${s}.counter_orgs set version = version + 1, serial = $2 where org = $1),
       gone_counters as (
         delete from ${s}.counters c using jsonb_to_recordset($3::jsonb) as gone (key text, window_label text)
         where c.org = $1 and c.key = gone.key and c.window_label = gone.window_label),
       gone_reservations as (${dropById(`${s}.reservations`, '$5')}),
       gone_settled as (${dropById(`${s}.settled_reservations`, '$7')}),
       gone_adjustments as (${dropById(`${s}.adjustments`, '$9')}),
       counters as (
         insert into ${s}.counters
         select * from jsonb_populate_recordset(null::${s}.counters, $4::jsonb)
         on conflict (org, key, window_label) do update set
           known = excluded.known, serial = excluded.serial, committed = excluded.committed,
           uncertain = excluded.uncertain, added = excluded.added, removed = excluded.removed,
           counted_at = excluded.counted_at, forget_at = excluded.forget_at, mark_ends_at = excluded.mark_ends_at),
       reservations as (
         insert into ${s}.reservations
         select * from jsonb_populate_recordset(null::${s}.reservations, $6::jsonb)
         on conflict (org, id) do update set
           lapsed = excluded.lapsed, fingerprint = excluded.fingerprint, remember_ms = excluded.remember_ms,
           lease_ends_at = excluded.lease_ends_at, charges = excluded.charges),
       settled as (
         insert into ${s}.settled_reservations
         select * from jsonb_populate_recordset(null::${s}.settled_reservations, $8::jsonb)
         on conflict (org, id) do update set
           fingerprint = excluded.fingerprint, state = excluded.state, ends_at = excluded.ends_at),
       adjustments as (
         insert into ${s}.adjustments
         select * from jsonb_populate_recordset(null::${s}.adjustments, $10::jsonb)
         on conflict (org, id) do update set ends_at = excluded.ends_at)
     select 1`,
    [
      org,
      serial,
      JSON.stringify(counters.gone),
      JSON.stringify(counters.saved),
      ids(reservations.gone),
      JSON.stringify(reservations.saved),
      ids(settled.gone),
      JSON.stringify(settled.saved),
      ids(adjustments.gone),
      JSON.stringify(adjustments.saved),
    ],
  );
}
