import type { Database, Sql } from '../database/database.ts';
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

async function openSchema(sql: Sql, s: string): Promise<number> {
  // Looked up first: making what exists needs a right that an application's own role need not have.
  const [found] = await sql<{ schema: boolean; versions: boolean }>(
    `select to_regnamespace($1) is not null as schema, to_regclass($1 || '.migrations') is not null as versions`,
    [s],
  );
  if (!found?.schema) await sql(`create schema ${s}`);
  if (!found?.versions) {
    await sql(`create table ${s}.migrations (
      number      integer primary key,
      name        text not null,
      applied_at  timestamptz not null default clock_timestamp()
    )`);
  }
  const [last] = await sql<{ number: number }>(
    `select coalesce(max(number), 0) as number from ${s}.migrations`,
  );
  return last?.number ?? 0;
}

/**
 * Brings the schema up to date. Each step and its number in `migrations` are one transaction under one advisory lock: a
 * migrator killed midway leaves the step undone, a second one waits and finds it done. A schema newer than this package is
 * left as it is.
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
  for (;;) {
    const version = await database.transaction(
      async (sql) => {
        await sql(`select pg_advisory_xact_lock(hashtextextended('tollgate migrations of ' || $1, 0))`, [
          name,
        ]);
        const applied = await openSchema(sql, s);
        const next = migrations.find((migration) => migration.number > applied);
        if (next === undefined) return { applied, isCurrent: true };
        for (const statement of next.up(s)) await sql(statement);
        await sql(`insert into ${s}.migrations (number, name) values ($1, $2)`, [next.number, next.name]);
        return { applied, isCurrent: false };
      },
      { timeoutMs, lockTimeoutMs: timeoutMs },
    );
    from ??= version.applied;
    if (version.isCurrent) return { from, to: version.applied };
  }
}
