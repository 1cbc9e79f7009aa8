import { setTimeout as sleep } from 'node:timers/promises';
import { TollgateError } from '@tollgate/core';
import type { Database, Sql } from '../database/database.ts';
import { DatabaseError } from '../database/database-error.ts';
import type { Migration } from './migration.ts';
import { MIGRATIONS } from './migrations.ts';

export interface MigrateOptions {
  /**
   * Longest time for one step, waiting for another migrator included, ms.
   * @default 60_000
   */
  readonly timeoutMs?: number;
}

/** What a migration did: the schema's version before and after. */
export interface MigrateResult {
  readonly from: number;
  readonly to: number;
}

/**
 * Longest wait for a table lock, ms: other writers queue behind it meanwhile. Longer than a second, the default `deadlock_timeout`, after
 * which an autovacuum gives way.
 */
const TABLE_WAIT_MS = 2_000;

/** How long a migrator waits before it looks again whether another has finished, ms. It holds no connection meanwhile: a pooler has few. */
const ASK_AGAIN_MS = 200;

/** Applies a step. While another transaction locks a table, it retries with pauses as long as there is time for another try. */
async function take(sql: Sql, s: string, step: Migration, deadline: number): Promise<void> {
  await sql(`set local lock_timeout = ${TABLE_WAIT_MS}`);
  // A role's own `transaction_timeout` (PostgreSQL 17 and later) is meant for its app's calls.
  await sql(
    `select set_config(name, '0', true) from pg_settings where name = 'transaction_timeout' and setting <> '0'`,
  );
  for (;;) {
    await sql('savepoint step');
    try {
      for (const statement of step.up(s)) await sql(statement);
      return;
    } catch (error) {
      const isHeld = error instanceof DatabaseError && error.sqlState === '55P03';
      if (!isHeld || performance.now() + TABLE_WAIT_MS >= deadline) throw error;
      // No table is locked now, so that those queued behind come first. The advisory lock is kept: other migrators still wait.
      await sql('rollback to savepoint step');
      await sleep(TABLE_WAIT_MS);
    }
  }
}

/** Looks up what exists, before anything is created: creating needs a right that an application's own role may lack. */
async function lookUp(sql: Sql, s: string): Promise<{ schema: boolean; versions: boolean; applied: number }> {
  const [found] = await sql<{ schema: boolean; versions: boolean }>(
    `select to_regnamespace($1) is not null as schema, to_regclass($1 || '.migrations') is not null as versions`,
    [s],
  );
  const { schema = false, versions = false } = found ?? {};
  if (!versions) return { schema, versions, applied: 0 };
  const [last] = await sql<{ number: number }>(
    `select coalesce(max(number), 0) as number from ${s}.migrations`,
  );
  return { schema, versions, applied: last?.number ?? 0 };
}

async function openSchema(sql: Sql, s: string): Promise<number> {
  const { schema, versions, applied } = await lookUp(sql, s);
  if (!schema) await sql(`create schema ${s}`);
  if (!versions) {
    await sql(`create table ${s}.migrations (
      number      integer primary key,
      name        text not null,
      applied_at  timestamptz not null default clock_timestamp()
    )`);
  }
  return applied;
}

/**
 * Brings the schema up to date. Each step and its number in `migrations` are one transaction under one advisory lock: a migrator killed
 * half-way leaves the step undone, a second one waits and finds it done. While another transaction locks a table, the step retries with
 * pauses, so that nobody queues behind it for long. A schema newer than this package is left as it is.
 * @throws TollgateError `repository_unavailable`
 */
export async function migrate(
  database: Database,
  s: string,
  options: MigrateOptions = {},
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<MigrateResult> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  const name = s.replaceAll('"', '');
  let from: number | undefined;
  /** The version that another migrator had reached when it was last looked up. */
  let seen: number | undefined;
  let deadline = performance.now() + timeoutMs;
  for (;;) {
    const leftMs = deadline - performance.now();
    const version = await database.transaction(
      async (sql) => {
        const [lock] = await sql<{ isMine: boolean }>(
          `select pg_try_advisory_xact_lock(hashtextextended('tollgate migrations of ' || $1, 0)) as "isMine"`,
          [name],
        );
        if (lock?.isMine !== true) return { applied: (await lookUp(sql, s)).applied, state: 'busy' } as const;
        const applied = await openSchema(sql, s);
        const next = migrations.find((migration) => migration.number > applied);
        if (next === undefined) return { applied, state: 'current' } as const;
        await take(sql, s, next, deadline);
        await sql(`insert into ${s}.migrations (number, name) values ($1, $2)`, [next.number, next.name]);
        return { applied, state: 'stepped' } as const;
      },
      { timeoutMs: leftMs, lockTimeoutMs: leftMs },
    );
    if (version.state === 'busy') {
      // The time-out is for one step, whichever migrator takes it.
      if (version.applied > (seen ?? version.applied)) deadline = performance.now() + timeoutMs;
      seen = version.applied;
      if (performance.now() + ASK_AGAIN_MS >= deadline) throw isBusy();
      await sleep(ASK_AGAIN_MS);
      continue;
    }
    from ??= version.applied;
    if (version.state === 'current') return { from, to: version.applied };
    deadline = performance.now() + timeoutMs;
  }
}

function isBusy(): TollgateError {
  const cause = new Error('Another migrator did not end in time.');
  return new TollgateError('repository_unavailable', { cause, retryAfterSeconds: 1 });
}
