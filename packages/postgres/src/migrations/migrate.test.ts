import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { waitUntil } from '../../../../test/support/services.ts';
import { startFile } from '../child-process.test-support.ts';
import { pgDatabase } from '../database/pg-database.ts';
import { heard } from '../heard-pool.test-support.ts';
import { postgresCounterStore } from '../postgres-counter-store.ts';
import { postgresRepository } from '../postgres-repository.ts';
import { migrate } from './migrate.ts';
import { MIGRATIONS } from './migrations.ts';

const LAST = MIGRATIONS.length;
const url = inject('databaseUrl');
let admin: pg.Pool;

async function tables(schema: string): Promise<string[]> {
  const { rows } = await admin.query(
    `select table_name as name from information_schema.tables where table_schema = $1 order by 1`,
    [schema],
  );
  return rows.map(({ name }) => name);
}

async function fresh(schema: string): Promise<string> {
  await admin.query(`drop schema if exists ${schema} cascade`);
  return schema;
}

beforeAll(() => {
  admin = new pg.Pool({ connectionString: url, max: 12 });
});
afterAll(async () => {
  for (const schema of [
    'mig_binary',
    'mig_busy',
    'mig_race',
    'mig_kill',
    'mig_fails',
    'mig_limit',
    'mig_long',
    'mig_old',
    'mig_role',
    'mig_host',
  ])
    await fresh(schema);
  await admin.query('drop role if exists mig_app; drop table if exists public.customers');
  await admin.end();
});

describe('the steps', () => {
  it('are numbered without gaps', () => {
    expect(MIGRATIONS.map(({ number }) => number)).toEqual(MIGRATIONS.map((_, index) => index + 1));
  });
});

describe('migrate', () => {
  it('serves a pool that reads in binary, whose own queries go on to', async () => {
    const schema = await fresh('mig_binary');
    const pool = new pg.Pool({ connectionString: url, max: 1, binary: true } as pg.PoolConfig);
    try {
      const repository = postgresRepository({ pool, schema });
      expect(await repository.migrate()).toMatchObject({ to: LAST });
      await repository.linkCustomer({ org: 'acme', provider: 'stripe', customerId: 'cus_1' });
      expect(await repository.loadOrg('acme')).toMatchObject({ customers: [{ customerId: 'cus_1' }] });

      const counters = postgresCounterStore({ pool, schema });
      const counter = { key: 'devices', window: 'lifetime' };
      const [token] = await counters.beginRecount({ org: 'acme', counters: [counter] });
      const counts = [{ ...counter, token: token?.token ?? '', reading: null, count: 7, forgetAt: null }];
      await counters.finishRecount({ org: 'acme', counts });
      const reserved = {
        org: 'acme',
        id: 'r',
        charges: [{ ...counter, amount: 1, limit: 10, onUnknown: 'uncertain', forgetAt: null }],
        rememberMs: 0,
      } as const;
      await counters.reserve({ ...reserved, leaseMs: 10_000, maxHeld: 10 });
      const client = await pool.connect();
      await client.query('begin');
      await counters.commitWithin(client, reserved);
      const { rows } = await client.query(`select '\\x07'::bytea as bytes, 1.5::float8 as number`);
      await client.query('commit');
      client.release();
      expect(rows).toEqual([{ bytes: Buffer.from([7]), number: 1.5 }]);
      expect(await counters.read({ org: 'acme', counters: [counter] })).toMatchObject([{ committed: 8 }]);
    } finally {
      await pool.end();
    }
  });

  it('makes one schema when eight migrators run at once (F24)', async () => {
    const schema = await fresh('mig_race');
    const results = await Promise.all(
      Array.from({ length: 8 }, () => postgresRepository({ pool: admin, schema }).migrate()),
    );
    expect(results.map(({ to }) => to)).toEqual(Array.from({ length: 8 }, () => LAST));
    const { rows } = await admin.query(`select number from ${schema}.migrations order by number`);
    expect(rows).toEqual(MIGRATIONS.map(({ number }) => ({ number })));
  });

  it.each(MIGRATIONS.map(({ number }) => number))(
    'succeeds after a migrator was killed in the middle of step %i, which is then undone (F24)',
    async (number) => {
      const schema = await fresh('mig_kill');
      const migrator = startFile('slow-migrator.test-support.ts', url, schema, `${number}`);
      await migrator.line();
      await waitUntil('the step is half done', async () => {
        const { rows } = await admin.query(
          `select 1 from pg_stat_activity where query = 'select pg_sleep(60)'`,
        );
        return rows.length > 0;
      });
      // A second migrator waits for the first one and then does what is left.
      const asked = vi.fn();
      const pool = new pg.Pool({ connectionString: url, max: 1 });
      const second = postgresRepository({ pool: heard(pool, asked), schema });
      const waiting = second.migrate();
      await waitUntil('the second migrator waits', () => asked.mock.calls.length > 4);
      // It keeps no connection meanwhile: whatever else is asked for is answered.
      await expect(pool.query('select 1 as one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
      await expect(second.migrate({ timeoutMs: 300 })).rejects.toMatchObject({
        code: 'repository_unavailable',
      });
      const before = await tables(schema);
      expect(before).toHaveLength(number === 1 ? 0 : before.length);
      await migrator.kill('SIGKILL');
      // The server notices a dead client only when it writes to it; an operator, or keep-alives, would end it as well.
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(60)'`,
      );
      await expect(waiting).resolves.toEqual({ from: number - 1, to: LAST });
      await pool.end();
      await expect(postgresRepository({ pool: admin, schema }).migrate()).resolves.toEqual({
        from: LAST,
        to: LAST,
      });
    },
  );

  it('waits for another migrator for as long as each of its steps may take, not all of them', async () => {
    const schema = await fresh('mig_long');
    const steps = [1, 2, 3, 4, 5].map((number) => ({
      number,
      name: 'slow',
      up: () => ['select pg_sleep(0.5)'],
    }));
    const database = pgDatabase({ pool: admin, timeoutMs: 5_000, lockTimeoutMs: 5_000 });
    const run = () => migrate(database, schema, { timeoutMs: 1_600 }, steps);
    expect((await Promise.all([run(), run()])).map(({ to }) => to)).toEqual([5, 5]);
    await database.close();
  });

  it('fails at once where a step fails of itself, and leaves it undone', async () => {
    const schema = await fresh('mig_fails');
    const database = pgDatabase({ pool: admin, timeoutMs: 5_000, lockTimeoutMs: 5_000 });
    const step = {
      number: 1,
      name: 'fails',
      up: (s: string) => [`create table ${s}.half ()`, 'select 1 / 0'],
    };
    const refused = { code: 'repository_unavailable', cause: { code: '22012' } };
    await expect(migrate(database, schema, {}, [step])).rejects.toMatchObject(refused);
    expect(await tables(schema)).toEqual([]);
    await database.close();
  });

  it('takes its time for a step whatever time-outs the role has', async () => {
    // The second one is of PostgreSQL 17 and later.
    const { rows } = await admin.query(`select name from pg_settings
      where name in ('statement_timeout', 'transaction_timeout') order by name`);
    const options = rows.map(({ name }) => `-c ${name}=500`).join(' ');
    const schema = await fresh('mig_limit');
    const pool = new pg.Pool({ connectionString: url, max: 1, options });
    const database = pgDatabase({ pool, timeoutMs: 5_000, lockTimeoutMs: 5_000 });
    const step = { number: 1, name: 'slow', up: () => ['select pg_sleep(0.7)'] };
    await expect(migrate(database, schema, {}, [step])).resolves.toEqual({ from: 0, to: 1 });
    for (const { name } of rows)
      await expect(pool.query(`show ${name}`)).resolves.toMatchObject({ rows: [{ [name]: '500ms' }] });
    await pool.end();
  });

  it('stops nobody who writes to a table for which it waits', async () => {
    const schema = await fresh('mig_busy');
    const counters = postgresCounterStore({ pool: admin, schema });
    await counters.migrate();
    await admin.query(`drop index ${schema}.settled_reservations_by_end, ${schema}.adjustments_by_end;
      delete from ${schema}.migrations where number >= 3`);
    // A strict commit of a host whose transaction hangs.
    const hanging = await admin.connect();
    await hanging.query(`begin; delete from ${schema}.settled_reservations`);
    await expect(counters.migrate({ timeoutMs: 300 })).rejects.toMatchObject({
      code: 'repository_unavailable',
    });
    const migrating = Promise.all([1, 2, 3].map(() => counters.migrate()));
    await waitUntil('the first one waits', async () => {
      const { rows } = await admin.query(
        `select 1 from pg_locks where locktype = 'relation' and not granted`,
      );
      return rows.length > 0;
    });
    const devices = [{ key: 'devices', window: 'lifetime' }];
    await expect(counters.beginRecount({ org: 'acme', counters: devices })).resolves.toHaveLength(1);
    await hanging.query('rollback');
    hanging.release();
    expect((await migrating).map(({ to }) => to)).toEqual([LAST, LAST, LAST]);
    await counters.close();
  });

  it.each(['user', 'order'])('makes a schema whose name is a word of SQL: %s', async (schema) => {
    await fresh(`"${schema}"`);
    const repository = postgresRepository({ pool: admin, schema });
    const counters = postgresCounterStore({ pool: admin, schema });
    await expect(repository.migrate()).resolves.toEqual({ from: 0, to: LAST });
    await expect(counters.migrate()).resolves.toEqual({ from: LAST, to: LAST });
    await expect(repository.loadOrg('acme')).resolves.toMatchObject({ overrides: [] });
    const lifetime = [{ key: 'devices', window: 'lifetime' }];
    await expect(counters.beginRecount({ org: 'acme', counters: lifetime })).resolves.toHaveLength(1);
    await fresh(`"${schema}"`);
  });

  it('leaves the tables of the host alone', async () => {
    await admin.query(
      `create table if not exists public.customers (mine text); insert into public.customers values ('x')`,
    );
    const before = await tables('public');
    await postgresRepository({ pool: admin, schema: await fresh('mig_host') }).migrate();
    await expect(tables('public')).resolves.toEqual(before);
    const { rows } = await admin.query('select mine from public.customers');
    expect(rows).toEqual([{ mine: 'x' }]);
  });

  it('needs no right to make schemas once the schema is up to date', async () => {
    const schema = await fresh('mig_role');
    await postgresRepository({ pool: admin, schema }).migrate();
    await admin.query(`drop role if exists mig_app; create role mig_app login;
      grant usage on schema ${schema} to mig_app;
      grant select, insert, update, delete on all tables in schema ${schema} to mig_app`);
    const asApp = new URL(url);
    asApp.username = 'mig_app';
    const pool = new pg.Pool({ connectionString: asApp.href });
    const repository = postgresRepository({ pool, schema });
    await expect(repository.migrate()).resolves.toEqual({ from: LAST, to: LAST });
    await expect(repository.loadOrg('acme')).resolves.toMatchObject({ overrides: [] });
    await pool.end();
    await admin.query(`drop owned by mig_app`);
  });

  it('leaves a schema alone that a newer version of the package made', async () => {
    const schema = await fresh('mig_old');
    const repository = postgresRepository({ pool: admin, schema });
    await repository.migrate();
    await admin.query(`insert into ${schema}.migrations (number, name) values (999, 'from the future')`);
    await expect(repository.migrate()).resolves.toEqual({ from: 999, to: 999 });
  });

  it('is what a call before it is told to do', async () => {
    const repository = postgresRepository({ pool: admin, schema: 'mig_never' });
    const error = await repository.loadOrg('acme').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'repository_unavailable' });
    expect(String((error as Error).cause)).toContain('migrate()');
  });
});
