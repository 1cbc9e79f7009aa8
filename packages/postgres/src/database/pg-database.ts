import { TollgateError } from '@tollgate/core';
import type { Database, Sql } from './database.ts';
import { closedError, DatabaseError } from './database-error.ts';
import type { PgClient, PgPool, PgPoolClient } from './pg-types.ts';
import { checkStorable, SQL_PARSERS } from './sql-values.ts';
import { transactionSettings } from './transaction-settings.ts';
import { withRetries } from './with-retries.ts';
import { within } from './within.ts';

/** The server's own time-outs fire first, so that the connection stays usable. This much later the connection is given up, ms. */
const GRACE_MS = 250;
const asText = (text: string) => text;
const types = { getTypeParser: (oid: number) => SQL_PARSERS[oid] ?? asText };
const ignore = () => {};

export interface PgDatabaseOptions {
  readonly pool: PgPool;
  /** Longest time one transaction may take, waiting for a connection and retries included, ms. */
  readonly timeoutMs: number;
  /** Longest wait for a row another transaction holds, ms. */
  readonly lockTimeoutMs: number;
}

/** Statements on one `pg` client, given up shortly after `deadline` (on the clock of `performance.now()`). */
export function sqlOn(client: PgClient, deadline: number): Sql {
  return async <Row>(text: string, values: readonly unknown[] = []) => {
    if (client.native !== undefined) throw nativeClient();
    checkStorable(values);
    const remainingMs = deadline - performance.now() + GRACE_MS;
    try {
      const query = inText(client, () =>
        client.query({ text, types, ...(values.length > 0 && { values: [...values] }) }),
      );
      const { rows } = await within(
        query,
        remainingMs,
        () => new Error('The database did not answer in time.'),
      );
      return rows as readonly Row[];
    } catch (error) {
      throw new DatabaseError(error);
    }
  };
}

/** A client on libpq parses results itself: limits and counts would be text. */
function nativeClient(): TollgateError {
  const message =
    'postgres: pg-native is not supported: give a `Pool` of `pg` itself, not of `pg.native` (nor under NODE_PG_FORCE_NATIVE).';
  return new TollgateError('invalid_configuration', { message });
}

/** Runs `ask` with text results. A client of a pool with `binary: true` asks for binary ones; it reads that flag when a query is made. */
function inText<T>(client: PgClient, ask: () => T): T {
  if (client.binary !== true) return ask();
  client.binary = false;
  try {
    return ask();
  } finally {
    client.binary = true;
  }
}

async function takeClient(pool: PgPool, deadline: number): Promise<PgPoolClient> {
  let isLate = false;
  const connecting = Promise.resolve().then(() => pool.connect());
  // A connection that comes too late goes straight back to the pool.
  connecting.then((client) => isLate && client.release(), ignore);
  try {
    return await within(connecting, deadline - performance.now(), () => {
      isLate = true;
      return new Error('No connection of the pool became free in time.');
    });
  } catch (error) {
    throw new DatabaseError(error);
  }
}

/** Where a transaction takes its connection from, and where it leaves it after success. */
interface Connections {
  take(deadline: number): Promise<PgPoolClient>;
  leave(client: PgPoolClient): void;
}

const listening = new WeakMap<PgPool, number>();

/** A connection that breaks with its very first answer does so before the pool has handed it to anybody who could listen. */
const listenFromTheStart = (client: PgPoolClient) => void client.on('error', ignore);

/** The pool emits an error when an idle connection breaks. Without a listener it would end the process. */
function listenForErrors(pool: PgPool): () => void {
  const users = listening.get(pool) ?? 0;
  if (users === 0) {
    pool.on('error', ignore);
    pool.on('connect', listenFromTheStart);
  }
  listening.set(pool, users + 1);
  let isListening = true;
  return () => {
    if (!isListening) return;
    isListening = false;
    const left = (listening.get(pool) ?? 1) - 1;
    listening.set(pool, left);
    if (left > 0) return;
    pool.removeListener('error', ignore);
    pool.removeListener('connect', listenFromTheStart);
  };
}

/** A Postgres server behind the host's `pg` pool. */
export function pgDatabase({ pool, timeoutMs, lockTimeoutMs }: PgDatabaseOptions): Database {
  const unlisten = listenForErrors(pool);
  let isClosed = false;

  function transactionsOn({ take, leave }: Connections): Database['transaction'] {
    return async (work, options = {}) => {
      if (isClosed) throw closedError();
      const limitMs = options.timeoutMs ?? timeoutMs;
      const deadline = performance.now() + limitMs;
      return withRetries(deadline, async (progress) => {
        const client = await take(deadline);
        // The same for a connection in use, also between two statements.
        client.on('error', ignore);
        const sql = sqlOn(client, deadline);
        let end = () => leave(client);
        try {
          const settings = transactionSettings(
            deadline - performance.now(),
            options.lockTimeoutMs ?? lockTimeoutMs,
          );
          await sql(`begin isolation level read committed; ${settings}`);
          const result = await work(sql);
          progress.atCommit = true;
          await sql('commit');
          return result;
        } catch (error) {
          let isSessionAlive = !(error instanceof DatabaseError) || error.isSessionAlive;
          if (isSessionAlive)
            isSessionAlive = await sql('rollback').then(
              () => true,
              () => false,
            );
          end = () => client.release(!isSessionAlive);
          throw error;
        } finally {
          client.removeListener('error', ignore);
          end();
        }
      });
    };
  }

  const take = (deadline: number) => takeClient(pool, deadline);

  return {
    transaction: transactionsOn({ take, leave: (client) => client.release(false) }),
    hold() {
      let held: PgPoolClient | undefined;
      let since = 0;
      const taken = async (deadline: number) => {
        const client = held ?? (await take(deadline));
        if (held === undefined) since = performance.now();
        held = undefined;
        return client;
      };
      const leave = (client: PgPoolClient) => {
        held = client;
      };
      return {
        transaction: transactionsOn({ take: taken, leave }),
        letGoAfter(ms) {
          if (performance.now() - since < ms) return;
          held?.release(false);
          held = undefined;
        },
      };
    },
    close: async () => {
      isClosed = true;
      unlisten();
    },
  };
}
