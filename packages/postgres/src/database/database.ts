/** The parameter types of a statement. Arrays and objects are passed as JSON text, instants as {@link toSqlInstant} writes them. */
export type SqlValue = string | number | boolean | null;

/** Runs one parameterised statement (`$1`, `$2` ...) and returns its rows. int8 and instants come back as numbers, jsonb parsed. */
export type Sql = <Row = Record<string, unknown>>(
  text: string,
  values?: readonly SqlValue[],
) => Promise<readonly Row[]>;

export interface TransactionOptions {
  /** @default the database's own */
  readonly timeoutMs?: number;
  /** @default the database's own */
  readonly lockTimeoutMs?: number;
}

/** Where SQL runs: a server behind a pool, or an embedded PGlite. */
export interface Database {
  /**
   * Runs `work` in one READ COMMITTED transaction: committed when it resolves, rolled back when it throws.
   * After a transient error it is retried from the start, a bounded number of times in a bounded time, so `work` must have no effect but
   * its statements.
   * @throws TollgateError `repository_unavailable` when the database cannot do it, `invalid_request` for text it cannot hold;
   * and whatever else `work` throws, as it is.
   */
  transaction<T>(work: (sql: Sql) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** For transactions that come right one after the other. */
  hold(): HeldDatabase;
  /** Refuses further calls, and removes the listeners that were added to the host's pool. */
  close(): Promise<void>;
}

/** Runs one transaction at a time, on the connection of the one before if that succeeded. */
export interface HeldDatabase extends Pick<Database, 'transaction'> {
  /** Call it right after each transaction: gives the connection back once it has been held for this long, ms. */
  letGoAfter(ms: number): void;
}
