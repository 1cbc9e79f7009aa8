import type { Database } from '../database/database.ts';
import { type CounterTables, step } from './org-step.ts';

const ORGS_AT_ONCE = 20;
/** How long an org is left alone after a tidying, ms. */
const REST_MS = 60_000;
/** How many remembered ids are dropped at once; the rest is left for the next time. */
const IDS_AT_ONCE = 20_000;

/** Deletes what nobody will ask for again, in the orgs that were tidied longest ago: keeps tables bounded. Returns how many orgs. */
export async function tidyOrgs(database: Database, tables: CounterTables): Promise<number> {
  const { s, now } = tables;
  await dropRemembered(database, tables);
  const nowMs = `(extract(epoch from ${now}) * 1000)::bigint`;
  return database.transaction(async (sql) => {
    const due = await sql<{ org: string }>(
      `select org from ${s}.counter_orgs where tidied_at <= ${nowMs} - $1
       order by tidied_at limit $2 for update skip locked`,
      [REST_MS, ORGS_AT_ONCE],
    );
    for (const { org } of due) await step(sql, tables, org, {}, (ledger, instant) => ledger.tidy(instant));
    const tidied = [JSON.stringify(due.map(({ org }) => org))];
    const isTidied = 'org in (select jsonb_array_elements_text($1::jsonb))';
    await sql(`update ${s}.counter_orgs set tidied_at = ${nowMs} where ${isTidied}`, tidied);
    await sql(
      `delete from ${s}.counter_orgs o where ${isTidied}
         and not exists (select from ${s}.counters c where c.org = o.org)
         and not exists (select from ${s}.reservations r where r.org = o.org)`,
      tidied,
    );
    return due.length;
  });
}

/** Drops expired ids of all orgs, without loading them or blocking anybody: one org may have as many as it makes creates in a day. */
async function dropRemembered(database: Database, { s, now }: CounterTables): Promise<void> {
  for (const table of ['settled_reservations', 'adjustments']) {
    await database.transaction((sql) =>
      sql(
        `delete from ${s}.${table} where ctid = any(array(
           select ctid from ${s}.${table} where ends_at <= (select (extract(epoch from ${now}) * 1000)::bigint)
           order by ends_at limit $1 for update skip locked))`,
        [IDS_AT_ONCE],
      ),
    );
  }
}
