import { TollgateError } from '@tollgate/core';
import type { Database } from './database/database.ts';
import { pgDatabase } from './database/pg-database.ts';
import type { PgPool } from './database/pg-types.ts';
import { type Pglite, pgliteDatabase } from './database/pglite-database.ts';

/** Where the tables are, and how long a call may take. */
export interface PostgresOptions {
  /**
   * A schema of the library's own; `migrate()` makes it. 1 to 63 of a-z, 0-9, `_`; not `public` nor one of Postgres' own.
   * @default 'tollgate'
   */
  readonly schema?: string;
  /**
   * Longest time one call may take, waiting for a connection and retries included, ms.
   * @default 5_000
   */
  readonly timeoutMs?: number;
  /**
   * Longest wait for a row another transaction holds, ms.
   * @default 1_000
   */
  readonly lockTimeoutMs?: number;
}

/** A pool of `pg` (the host's, and left open) or an embedded PGlite. */
export type PostgresConnection = { readonly pool: PgPool } | { readonly pglite: Pglite };

/** Of the repository and the counter store. */
const OPTION_NAMES = ['pool', 'pglite', 'schema', 'timeoutMs', 'lockTimeoutMs', 'lapsedKeepMs'];

/** Opens the database behind a pool or a PGlite. @throws TollgateError `invalid_configuration` */
export function openDatabase(options: PostgresOptions & PostgresConnection): Database {
  // Plain JavaScript may pass anything.
  const given: Partial<PostgresOptions & { readonly pool: PgPool; readonly pglite: Pglite }> = options ?? {};
  const { timeoutMs = 5_000, lockTimeoutMs = 1_000, pool, pglite } = given;
  for (const [name, value] of Object.entries({ timeoutMs, lockTimeoutMs })) {
    if (!Number.isSafeInteger(value) || value < 1 || value > 3_600_000)
      refuse(`${name} must be a whole number of ms from 1 to 3600000.`);
  }
  if (pool == null && pglite == null) refuse('give a pg `pool` or a `pglite`.');
  for (const name of Object.keys(given)) {
    if (!OPTION_NAMES.includes(name))
      refuse(`${name}: is not an option. Correct its spelling or leave it out.`);
  }
  if (pool == null) {
    if (typeof pglite?.transaction !== 'function')
      refuse('`pglite` is no PGlite. Give it what `await PGlite.create(...)` answers.');
    return pgliteDatabase({ pglite, timeoutMs, lockTimeoutMs });
  }
  // A url or settings may contain a password, so they are never shown. A single client looks like a pool, but can connect only once.
  if (typeof pool.connect !== 'function' || typeof pool.on !== 'function' || 'connectionParameters' in pool)
    refuse('`pool` is no pool. Give it a new Pool(...) of pg.');
  return pgDatabase({ pool, timeoutMs, lockTimeoutMs });
}

function refuse(fault: string): never {
  throw new TollgateError('invalid_configuration', { message: `postgres: ${fault}` });
}
