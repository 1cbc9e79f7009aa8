import type { Database } from '../database/database.ts';

/** What the repository's methods are made from. */
export interface Store {
  readonly database: Database;
  /** The schema's checked name, as it stands before every table. */
  readonly s: string;
  /** The SQL expression that tells the time; the database's own clock. */
  readonly now: string;
}
