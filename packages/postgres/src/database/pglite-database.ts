import type { Database, Sql } from './database.ts';
import { closedError, DatabaseError } from './database-error.ts';
import { checkStorable, SQL_PARSERS } from './sql-values.ts';
import { transactionSettings } from './transaction-settings.ts';
import { withRetries } from './with-retries.ts';
import { within } from './within.ts';

/** The part of a PGlite transaction that is used here. */
interface PgliteTransaction {
  query<Row>(
    text: string,
    values?: unknown[],
    options?: { parsers?: Record<number, (text: string) => unknown> },
  ): Promise<{ rows: Row[] }>;
  exec(text: string): Promise<unknown>;
}

/** The part of `PGlite` that is used here, spelled out so that nobody needs the types of a driver they do not use. */
export interface Pglite {
  transaction<T>(work: (transaction: PgliteTransaction) => Promise<T>): Promise<T>;
}

export interface PgliteDatabaseOptions {
  readonly pglite: Pglite;
  readonly timeoutMs: number;
  readonly lockTimeoutMs: number;
}

/** An embedded PGlite. It has one connection, so transactions run one after the other. */
export function pgliteDatabase({ pglite, timeoutMs, lockTimeoutMs }: PgliteDatabaseOptions): Database {
  let isClosed = false;

  const database: Database = {
    transaction: async (work, options = {}) => {
      if (isClosed) throw closedError();
      const limitMs = options.timeoutMs ?? timeoutMs;
      const deadline = performance.now() + limitMs;
      return withRetries(deadline, async () => {
        let outcome: { readonly error: unknown } | undefined;
        let isLate = false;
        let begin = () => {};
        const begun = new Promise<void>((resolve) => {
          begin = resolve;
        });
        try {
          const running = pglite.transaction(async (transaction) => {
            // Its turn came after the time-out: its caller was told that nothing was done.
            if (isLate) throw new Error('PGlite was busy for too long.');
            begin();
            const sql: Sql = async <Row>(text: string, values: readonly unknown[] = []) => {
              checkStorable(values);
              try {
                return (await transaction.query<Row>(text, [...values], { parsers: SQL_PARSERS })).rows;
              } catch (error) {
                throw new DatabaseError(error);
              }
            };
            try {
              await transaction.exec(transactionSettings(limitMs, options.lockTimeoutMs ?? lockTimeoutMs));
              return await work(sql);
            } catch (error) {
              outcome = { error };
              throw error;
            }
          });
          // Only the wait for its turn needs a time-out here: statements have Postgres' own.
          await within(Promise.race([begun, running]), deadline - performance.now(), () => {
            isLate = true;
            return new Error('PGlite was busy for too long.');
          });
          return await running;
        } catch (error) {
          // What `work` threw is passed on as it is; anything else comes from PGlite itself.
          throw outcome?.error === error ? error : new DatabaseError(error);
        }
      });
    },
    hold: () => ({ transaction: database.transaction, letGoAfter() {} }),
    close: async () => {
      isClosed = true;
    },
  };
  return database;
}
