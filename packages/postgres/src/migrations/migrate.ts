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
 * Longest wait for a table, ms: whoever writes to it meanwhile waits behind. More than a second, the default `deadlock_timeout`, after
 * which an autovacuum makes way.
 */
const TABLE_WAIT_MS = 2_000;

/** How long a migrator waits before it asks again whether another has ended, ms. It keeps no connection meanwhile: a pooler has few. */
const ASK_AGAIN_MS = 200;

/** Takes a step; for a table that a transaction of somebody else's holds it waits in turns, until there is no time for another. */
async function take(sql: Sql, s: string, step: Migration, deadline: number): Promise<void> {
  await sql(`set local lock_timeout = ${TABLE_WAIT_MS}`);
  // A role's own is for its app's calls. From PostgreSQL 17 on.
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
      // No table is held now: who waited behind comes first. Other migrators wait on.
      await sql('rollback to savepoint step');
      await sleep(TABLE_WAIT_MS);
    }
  }
}

/** What there is. Looked up before it is made: that needs a right that an application's own role need not have. */
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
 * Brings the schema up to date. Each step and its number in `migrations` are one transaction under one advisory lock: a
 * migrator killed midway leaves the step undone, a second one waits and finds it done. A table that a transaction holds is waited
 * for in turns, so that nobody waits long behind. A schema newer than this package is left as it is.
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
  /** How far another migrator was when it was last asked for. */
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
      // The time is for one step, of the other one's as well.
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
