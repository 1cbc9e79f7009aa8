import { type Reservation, TollgateError } from '@tollgate/core';
import { DatabaseError } from '../database/database-error.ts';
import { sqlOn } from '../database/pg-database.ts';
import type { PgClient } from '../database/pg-types.ts';
import { type CounterTables, step } from './org-step.ts';

/** How long a strict commit is recognised, at least, ms: the guard that reserved settles once more when its handler ends. */
const REMEMBER_MS = 600_000;

/** Commits a reservation on the host's own client; see `PostgresCounterStore.commitWithin`. */
export async function commitWithin(
  client: PgClient,
  tables: CounterTables,
  timeoutMs: number,
  reservation: Reservation & { readonly amounts?: readonly number[] },
): Promise<void> {
  // A query builder's transaction is none of `pg`: no repeat helps.
  if (typeof client?.query !== 'function') throw noTransaction();
  const sql = sqlOn(client, performance.now() + timeoutMs);
  const { org, id } = reservation;
  try {
    // The host's own lock_timeout is put back, so that the rest of its transaction runs as it chose.
    const [host] = await sql<{ timeout: string }>(`select current_setting('lock_timeout') as timeout`);
    await sql(`select set_config('lock_timeout', $1, true)`, [`${Math.max(1, Math.floor(timeoutMs))}`]);
    const outcome = await step(
      sql,
      tables,
      org,
      { counters: [], reservation: id },
      (ledger, now, transaction) => {
        if (!transaction.isOpen) return 'no transaction';
        // Lets leases run out first: one that has is refused here, where a late commit elsewhere would be counted.
        ledger.read([], now);
        // Settled before counts as well: one reservation is good for one transaction.
        if (!ledger.live.has(id)) return 'not held';
        const rememberMs = Math.max(reservation.rememberMs, REMEMBER_MS);
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
