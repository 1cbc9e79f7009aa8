import { type Reservation, TollgateError } from '@tollgate/core';
import { DatabaseError } from '../database/database-error.ts';
import { sqlOn } from '../database/pg-database.ts';
import type { PgClient } from '../database/pg-types.ts';
import { type CounterTables, step } from './org-step.ts';

/** How long after a strict commit its handler may end, ms: the guard settles then, and must find the commit. */
const HANDLER_ENDS_MS = 600_000;

/** Commits a reservation on the host's own client; see `PostgresCounterStore.commitWithin`. */
export async function commitWithin(
  client: PgClient,
  tables: CounterTables,
  timeoutMs: number,
  reservation: Reservation & { readonly amounts?: readonly number[] },
): Promise<void> {
  // A transaction of a query builder is no client of `pg`: a retry would not help.
  if (typeof client?.query !== 'function') throw noTransaction();
  const sql = sqlOn(client, performance.now() + timeoutMs);
  const { org, id } = reservation;
  try {
    // The host's own lock_timeout is restored afterwards, so that the rest of its transaction runs as it chose.
    const [host] = await sql<{ timeout: string }>(`select current_setting('lock_timeout') as timeout`);
    await sql(`select set_config('lock_timeout', $1, true)`, [`${Math.max(1, Math.floor(timeoutMs))}`]);
    const outcome = await step(
      sql,
      tables,
      org,
      { counters: [], reservation: id },
      (ledger, now, transaction) => {
        if (!transaction.isOpen) return 'no transaction';
        // Reading lapses leases that ran out: one of those is refused here, where a late commit elsewhere would be counted.
        ledger.read([], now);
        // One that was settled before is refused as well: a reservation is good for one transaction.
        if (!ledger.live.has(id)) return 'not held';
        // A settle that fails is retried for `lapsedKeepMs`; one that found nothing would count the units again.
        const rememberMs = Math.max(reservation.rememberMs, HANDLER_ENDS_MS + tables.lapsedKeepMs);
        return ledger.settle({ ...reservation, rememberMs, as: 'commit' }, now).outcome;
      },
    );
    await sql(`select set_config('lock_timeout', $1, true)`, [host?.timeout ?? '0']);
    if (outcome === 'no transaction') throw noTransaction();
    if (outcome !== 'settled') throw new TollgateError('reservation_lapsed', { retryAfterSeconds: 1 });
  } catch (error) {
    throw error instanceof DatabaseError ? error.toTollgateError() : error;
  }
}

function noTransaction(): TollgateError {
  const message = 'postgres: commitWithin needs the client on which the host opened its transaction.';
  return new TollgateError('invalid_configuration', { message });
}
