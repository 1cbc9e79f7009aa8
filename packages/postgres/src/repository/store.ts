import type { Database, Sql } from '../database/database.ts';

/** What the repository's methods share. */
export interface Store {
  readonly database: Database;
  /** Runs one statement in a transaction of its own. */
  readonly ask: Sql;
  /** The schema's checked name, as it is written before every table. */
  readonly s: string;
  /** The SQL expression for the time: the database's own clock. */
  readonly now: string;
}
