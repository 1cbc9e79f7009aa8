import { type BillingRepository, TollgateError } from '@tollgate/core';
import type { Database } from './database/database.ts';
import { pgDatabase } from './database/pg-database.ts';
import type { PgPool } from './database/pg-types.ts';
import { type Pglite, pgliteDatabase } from './database/pglite-database.ts';
import { type MigrateOptions, type MigrateResult, migrate } from './migrations/migrate.ts';
import { auditMethods } from './repository/audit.ts';
import { checkoutMethods } from './repository/checkouts.ts';
import { customerMethods } from './repository/customers.ts';
import { degradationMethods } from './repository/degradation.ts';
import { inboxMethods } from './repository/inbox.ts';
import { orgMethods } from './repository/org.ts';
import { overrideMethods } from './repository/overrides.ts';
import type { Store } from './repository/store.ts';
import { subscriptionMethods } from './repository/subscriptions.ts';
import { sweepMethods } from './repository/sweeps.ts';
import { usageMethods } from './repository/usage.ts';
import { checkSchemaName } from './schema-name.ts';

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

/** A {@link BillingRepository} that brings its own tables. */
export interface PostgresRepository extends BillingRepository {
  /**
   * Makes or updates the library's schema; call it once at start, from as many processes as you like.
   * @throws TollgateError `repository_unavailable`
   */
  migrate(options?: MigrateOptions): Promise<MigrateResult>;
}

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

/** The database's own clock, in the whole ms that callers are told and hand back. */
const DATABASE_CLOCK = `date_trunc('milliseconds', clock_timestamp())`;

/** The repository on an opened database. `now` is a seam for tests alone. */
export function repositoryOn(database: Database, s: string, now = DATABASE_CLOCK): PostgresRepository {
  const store: Store = { database, s, now };
  return {
    ...orgMethods(store),
    ...customerMethods(store),
    ...subscriptionMethods(store),
    ...checkoutMethods(store),
    ...inboxMethods(store),
    ...overrideMethods(store),
    ...degradationMethods(store),
    ...sweepMethods(store),
    ...usageMethods(store),
    ...auditMethods(store),
    migrate: (options) => migrate(database, s, options),
    close: () => database.close(),
  };
}

/**
 * Billing state in PostgreSQL or in an embedded PGlite. Call `migrate()` once before use.
 *
 * @example
 * const repository = postgresRepository({ pool: new Pool({ connectionString }) });
 * await repository.migrate();
 * const billing = createBilling({ repository, ... });
 * @throws TollgateError `invalid_configuration`
 */
export function postgresRepository(options: PostgresOptions & PostgresConnection): PostgresRepository {
  return repositoryOn(openDatabase(options), checkSchemaName(options.schema ?? 'tollgate'));
}
