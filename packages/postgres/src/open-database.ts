import { TollgateError } from '@tollgate/core';
import type { Database } from './database/database.ts';
import { pgDatabase } from './database/pg-database.ts';
import type { PgPool } from './database/pg-types.ts';
import { type Pglite, pgliteDatabase } from './database/pglite-database.ts';

/** Where the tables live, and how long anything may take. */
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

/** Connects to where SQL is run. @throws TollgateError `invalid_configuration` */
export function openDatabase(options: PostgresOptions & PostgresConnection): Database {
  const { timeoutMs = 5_000, lockTimeoutMs = 1_000 } = options;
  for (const [name, value] of Object.entries({ timeoutMs, lockTimeoutMs })) {
    if (!Number.isSafeInteger(value) || value < 1 || value > 3_600_000) {
      const message = `postgres: ${name} must be a whole number of ms from 1 to 3600000.`;
      throw new TollgateError('invalid_configuration', { message });
    }
  }
  if ('pool' in options) return pgDatabase({ pool: options.pool, timeoutMs, lockTimeoutMs });
  if ('pglite' in options) return pgliteDatabase({ pglite: options.pglite, timeoutMs, lockTimeoutMs });
  throw new TollgateError('invalid_configuration', { message: 'postgres: give a pg `pool` or a `pglite`.' });
}
