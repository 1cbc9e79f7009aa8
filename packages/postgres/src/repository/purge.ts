import type { SqlValue } from '../database/database.ts';
import type { Store } from './store.ts';

/** How many rows are deleted in one transaction, well within its time-out. */
const ROWS_AT_ONCE = 10_000;

/** Deletes a bounded number of rows that meet a condition on `value` (`$1`), in `order`, skipping locked ones. Returns how many. */
export async function purge(
  { ask, s }: Store,
  table: string,
  {
    condition,
    order,
    value,
  }: { readonly condition: string; readonly order: string; readonly value: SqlValue },
): Promise<number> {
  const [purged] = await ask<{ count: number }>(
    `with purged as (
       delete from ${s}.${table} where ctid = any(array(
         select ctid from ${s}.${table} where ${condition} order by ${order} limit $2 for update skip locked))
       returning 1)
     select count(*) from purged`,
    [value, ROWS_AT_ONCE],
  );
  return purged?.count ?? 0;
}
