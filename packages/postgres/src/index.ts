export type { PgClient, PgPool, PgPoolClient } from './database/pg-types.ts';
export type { Pglite } from './database/pglite-database.ts';
export type { MigrateOptions, MigrateResult } from './migrations/migrate.ts';
export type { PostgresConnection, PostgresOptions } from './open-database.ts';
export {
  type PostgresCounterStore,
  type PostgresCounterStoreOptions,
  postgresCounterStore,
} from './postgres-counter-store.ts';
export { type PostgresRepository, postgresRepository } from './postgres-repository.ts';
