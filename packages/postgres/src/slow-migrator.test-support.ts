import pg from 'pg';
import { pgDatabase } from './database/pg-database.ts';
import { migrate } from './migrations/migrate.ts';
import { MIGRATIONS } from './migrations/migrations.ts';

// Migrates, but hangs in the middle of the step whose number it is given.
const [url = '', schema = '', slow = '0'] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url });
const slowed = MIGRATIONS.map((migration) => {
  if (migration.number !== Number(slow)) return migration;
  const up = (s: string) => migration.up(s).toSpliced(2, 0, 'select pg_sleep(60)');
  return { ...migration, up };
});
process.stdout.write('started\n');
await migrate(pgDatabase({ pool, timeoutMs: 60_000, lockTimeoutMs: 60_000 }), schema, {}, slowed);
