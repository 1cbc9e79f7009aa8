export type { PgClient, PgPool, PgPoolClient } from './database/pg-types.ts';
export type { Pglite } from './database/pglite-database.ts';
export type { MigrateOptions, MigrateResult } from './migrations/migrate.ts';
export {
  type PostgresConnection,
  type PostgresOptions,
  type PostgresRepository,
  postgresRepository,
} from './postgres-repository.ts';
