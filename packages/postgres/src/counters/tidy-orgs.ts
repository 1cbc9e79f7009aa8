import type { Database } from '../database/database.ts';
import { type CounterTables, step } from './org-step.ts';

const ORGS_AT_ONCE = 20;
/** How long an org is left alone after it was tidied, ms. */
const REST_MS = 60_000;

/** Forgets what nobody will ask for again in the orgs tidied longest ago, so that tables stay bounded. Answers how many orgs. */
export async function tidyOrgs(database: Database, tables: CounterTables): Promise<number> {
  const { s, now } = tables;
  const nowMs = `(extract(epoch from ${now}) * 1000)::bigint`;
  return database.transaction(async (sql) => {
    const due = await sql<{ org: string }>(
      `select org from ${s}.counter_orgs where tidied_at <= ${nowMs} - $1
       order by tidied_at limit $2 for update skip locked`,
      [REST_MS, ORGS_AT_ONCE],
    );
    for (const { org } of due) {
      const isEmpty = await step(sql, tables, org, 'all', (ledger, instant) => {
        ledger.tidy(instant);
        return ledger.isEmpty;
      });
      await sql(
        isEmpty
          ? `delete from ${s}.counter_orgs where org = $1`
          : `update ${s}.counter_orgs set tidied_at = ${nowMs} where org = $1`,
        [org],
      );
    }
    return due.length;
  });
}
