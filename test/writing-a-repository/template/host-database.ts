// #region host-database
/** What the template asks of your database: rows by table and name, inside serialisable transactions. */
export interface HostTransaction {
  get<Row>(table: string, name: string): Promise<Row | null>;
  put(table: string, name: string, row: unknown): Promise<void>;
  remove(table: string, name: string): Promise<void>;
  /** All rows of a table. Put a query with an index in its place wherever the template filters. */
  all<Row>(table: string): Promise<readonly Row[]>;
  /** The database's clock, not the app's: leases are judged on it. Epoch ms. */
  now(): Promise<number>;
}

export interface HostDatabase {
  /**
   * Commits when `work` resolves, rolls back when it throws, and tries again what failed for a passing reason. Bounded in time;
   * what it could not do is a `TollgateError` with code `repository_unavailable`.
   */
  transaction<T>(work: (tx: HostTransaction) => Promise<T>): Promise<T>;
}
// #endregion

/** A name that no two different lists of parts share. */
export const nameOf = (...parts: readonly (string | boolean | null)[]) => JSON.stringify(parts);

/** Sorts by texts, one after the other, in the order of code units: the same on every machine. */
export function sortBy<Row>(rows: readonly Row[], ...texts: readonly ((row: Row) => string)[]): Row[] {
  return [...rows].sort((a, b) => {
    for (const text of texts) {
      if (text(a) !== text(b)) return text(a) < text(b) ? -1 : 1;
    }
    return 0;
  });
}
