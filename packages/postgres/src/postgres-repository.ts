import type { BillingRepository } from '@tollgate/core';
import type { Database, Sql } from './database/database.ts';
import { DATABASE_CLOCK } from './database/database-clock.ts';
import { type MigrateOptions, type MigrateResult, migrate } from './migrations/migrate.ts';
import { openDatabase, type PostgresConnection, type PostgresOptions } from './open-database.ts';
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

/** A {@link BillingRepository} that brings its own tables. */
export interface PostgresRepository extends BillingRepository {
  /**
   * Makes or updates the library's schema; call it once at start, from as many processes as you like.
   * @throws TollgateError `repository_unavailable`
   */
  migrate(options?: MigrateOptions): Promise<MigrateResult>;
}

/** The repository on an opened database. `now` is replaced by tests only. */
export function repositoryOn(database: Database, s: string, now = DATABASE_CLOCK): PostgresRepository {
  const ask: Sql = (text, values) => database.transaction((sql) => sql(text, values));
  const store: Store = { database, ask, s, now };
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
 * const pool = new Pool({ connectionString, connectionTimeoutMillis: 5_000 });
 * const repository = postgresRepository({ pool });
 * await repository.migrate();
 * const billing = createBilling({ repository, ... });
 * @throws TollgateError `invalid_configuration`
 */
export function postgresRepository(options: PostgresOptions & PostgresConnection): PostgresRepository {
  return repositoryOn(openDatabase(options), checkSchemaName(options.schema ?? 'tollgate'));
}
