import { randomBytes } from 'node:crypto';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import type { Database } from './database/database.ts';
import { pgDatabase } from './database/pg-database.ts';
import { pgliteDatabase } from './database/pglite-database.ts';
import { migrate } from './migrations/migrate.ts';

const STARTS_AT = Date.UTC(2026, 3, 9, 12);
/** Long, since a test machine may be busy, and only the fault tests are about time. */
const TIMES = { timeoutMs: 60_000, lockTimeoutMs: 60_000 };

/** A fresh, migrated schema whose clock stands still until it is advanced. */
export interface TestingDatabase {
  /** The schema. */
  readonly s: string;
  /** The SQL expression of the movable clock. */
  readonly clockSql: string;
  /** A separate database object, as another process would have. */
  open(): Database;
  /** Runs SQL beside every adapter; returns rows as the driver parses them. */
  raw<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  now(): number;
  advance(ms: number): Promise<void>;
  /** Empties every table. */
  clear(): Promise<void>;
  drop(): Promise<void>;
}

type Raw = TestingDatabase['raw'];

async function prepare(
  raw: Raw,
  exec: (text: string) => Promise<unknown>,
  open: () => Database,
  end: () => Promise<void>,
): Promise<TestingDatabase> {
  const s = `t_${randomBytes(6).toString('hex')}`;
  await migrate(open(), s);
  await raw(`create schema ${s}_clock`);
  await raw(`create table ${s}_clock.clock (at timestamptz not null)`);
  let at = STARTS_AT;
  await raw(`insert into ${s}_clock.clock values ($1)`, [new Date(at).toISOString()]);
  const names = await raw<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = $1 and table_name <> 'migrations'`,
    [s],
  );
  const [audit] = await raw<{ name: string }>(
    `select pg_get_serial_sequence('${s}.audit', 'position') as name`,
  );
  const deletes = names.map(({ name }) => `delete from ${s}.${name}`).join('; ');
  return {
    s,
    clockSql: `(select at from ${s}_clock.clock)`,
    open,
    raw,
    now: () => at,
    advance: async (ms) => {
      at += ms;
      await raw(`update ${s}_clock.clock set at = $1`, [new Date(at).toISOString()]);
    },
    clear: async () => {
      // One round trip of statements without parameters, since histories do this hundreds of times.
      await exec(`${deletes}; select setval('${audit?.name}', 1, false)`);
    },
    drop: async () => {
      await raw(`drop schema ${s} cascade`);
      await raw(`drop schema ${s}_clock cascade`);
      await end();
    },
  };
}

/**
 * On a real server.
 * @param url - a database in which schemas may be created
 * @param through - the port of a proxy through which adapters reach the server; `raw` bypasses it
 */
export async function postgresForTesting(url: string, through?: number): Promise<TestingDatabase> {
  const admin = new pg.Pool({ connectionString: url, max: 2 });
  const raw: Raw = async (text, values) => (await admin.query(text, values)).rows;
  const reached = new URL(url);
  if (through !== undefined) reached.port = `${through}`;
  const pool = new pg.Pool({ connectionString: reached.href, max: 8 });
  return prepare(
    raw,
    (text) => admin.query(text),
    () => pgDatabase({ pool, ...TIMES }),
    async () => {
      await Promise.all([pool.end(), admin.end()]);
    },
  );
}

let shared: Promise<PGlite> | undefined;

/** On an embedded in-memory PGlite, one for the whole test file, since it takes seconds to start. */
export async function pgliteForTesting(): Promise<TestingDatabase> {
  shared ??= PGlite.create();
  const pglite = await shared;
  const raw: Raw = async <Row>(text: string, values?: unknown[]) =>
    (await pglite.query<Row>(text, values)).rows;
  return prepare(
    raw,
    (text) => pglite.exec(text),
    () => pgliteDatabase({ pglite, ...TIMES }),
    async () => {},
  );
}
