import type { Sql } from '../database/database.ts';
import type { CounterTables } from './org-step.ts';

/** A lease by its reservation. */
export interface LeaseRef {
  readonly org: string;
  readonly id: string;
}

export interface RenewedLeases {
  /** The orgs that could be locked. Any other one is locked by a step, or has no row. */
  readonly orgs: ReadonlySet<string>;
  readonly isHeld: (lease: LeaseRef) => boolean;
}

const nameOf = ({ org, id }: LeaseRef) => JSON.stringify([org, id]);

/** Renews the leases of all orgs that nobody has locked, in two statements, since a process may hold leases of thousands of orgs. */
export async function renewFreeLeases(
  sql: Sql,
  { s, now }: CounterTables,
  leases: readonly LeaseRef[],
  leaseMs: number,
): Promise<RenewedLeases> {
  const free = await sql<{ org: string }>(
    `select org from ${s}.counter_orgs where org in (select jsonb_array_elements_text($1::jsonb))
     for update skip locked`,
    [JSON.stringify([...new Set(leases.map(({ org }) => org))])],
  );
  const orgs = new Set(free.map(({ org }) => org));
  const asked = leases.filter(({ org }) => orgs.has(org)).map(({ org, id }) => ({ org, id }));
  // Leases are read after the orgs are locked. As with every write, the org's own row is updated.
  const renewed = await sql<LeaseRef>(
    `with
       clock as materialized (select (extract(epoch from ${now}) * 1000)::bigint as now),
       renewed as (
         update ${s}.reservations r set lease_ends_at = clock.now + $2
         from clock, jsonb_to_recordset($1::jsonb) as asked (org text, id text)
         where r.org = asked.org and r.id = asked.id and not r.lapsed and r.lease_ends_at > clock.now
         returning r.org, r.id),
       orgs as (
         update ${s}.counter_orgs set version = version + 1 where org in (select org from renewed))
     select org, id from renewed`,
    [JSON.stringify(asked), leaseMs],
  );
  const names = new Set(renewed.map(nameOf));
  return { orgs, isHeld: (lease) => names.has(nameOf(lease)) };
}
