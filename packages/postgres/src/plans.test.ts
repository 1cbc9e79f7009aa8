import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { expect, inject, it, onTestFinished } from 'vitest';
import type { PgPool } from './database/pg-types.ts';
import { heard, type Query } from './heard-pool.test-support.ts';
import { postgresCounterStore } from './postgres-counter-store.ts';
import { postgresRepository } from './postgres-repository.ts';

interface PlanNode {
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

function rowsOf(table: string, node: PlanNode): number {
  const below = (node.Plans ?? []).reduce((sum, child) => sum + rowsOf(table, child), 0);
  if (node['Relation Name'] !== table || node.Plans !== undefined) return below;
  return below + (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];
}

/** A schema of its own, and how many rows of a table the statements of a call look at. */
async function scene() {
  const schema = `plans_${randomBytes(4).toString('hex')}`;
  const pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 4 });
  onTestFinished(() => pool.end());
  await postgresRepository({ pool, schema }).migrate();
  onTestFinished(async () => void (await pool.query(`drop schema ${schema} cascade`)));

  async function looksAt(table: string, call: (pool: PgPool) => Promise<unknown>): Promise<number> {
    const asked: Query[] = [];
    await call(heard(pool, (query) => void asked.push(query)));
    let rows = 0;
    for (const { text, values } of asked.filter((query) => query.text.includes(`${schema}".${table}`))) {
      const client = await pool.connect();
      await client.query('begin');
      const { rows: plans } = await client.query(`explain (analyze, format json) ${text}`, values);
      await client.query('rollback');
      client.release();
      rows += rowsOf(table, plans[0]['QUERY PLAN'][0].Plan);
    }
    return rows;
  }
  return { pool, schema, looksAt };
}

it('a sweep looks at the orgs that are due, of however many that ever were on its list', async () => {
  const { pool, schema, looksAt } = await scene();
  await pool.query(
    `insert into ${schema}.sweeps select 'org-' || i, null, null, 1 from generate_series(1, 2000) i;
     insert into ${schema}.sweeps select 'later-' || i, now() + interval '1 day', null, 1 from generate_series(1, 2000) i;
     insert into ${schema}.sweeps select 'due-' || i, now(), null, 1 from generate_series(1, 3) i;
     analyze ${schema}.sweeps`,
  );
  const claim = { org: null, dueAt: null, limit: 10, leaseMs: 60_000 };
  const rows = await looksAt('sweeps', async (watched) => {
    const { claims } = await postgresRepository({ pool: watched, schema }).claimSweeps(claim);
    expect(claims).toHaveLength(3);
  });
  expect(rows).toBeLessThan(20);
});

it('a create looks at the counters it asks for and those of open reservations, of however many sessions of its org', async () => {
  const { pool, schema, looksAt } = await scene();
  const inAnHour = Date.now() + 3_600_000;
  await pool.query(
    `insert into ${schema}.counter_orgs values ('acme', 0, 1, ${inAnHour});
     insert into ${schema}.counters
     select 'acme', 'calls', 'session:' || i, true, i, 1, 0, 0, 0, 0, null, 0 from generate_series(1, 20000) i;
     insert into ${schema}.reservations
     select 'acme', 'r' || i, false, 'x', 0, ${inAnHour}, jsonb_build_array(jsonb_build_object(
       'key', 'calls', 'window', 'session:' || i, 'amount', 1, 'limit', 100, 'onUnknown', 'release',
       'forgetAt', null, 'place', 'held', 'straddled', false, 'lapsedAt', '0')) from generate_series(1, 100) i;
     analyze ${schema}.counters, ${schema}.reservations`,
  );
  const charge = { key: 'calls', window: 'session:101', amount: 1, limit: 100 } as const;
  const charges = [{ ...charge, onUnknown: 'release', forgetAt: null }] as const;
  const rows = await looksAt('counters', async (watched) => {
    const store = postgresCounterStore({ pool: watched, schema });
    const asked = { org: 'acme', id: 'new', charges, rememberMs: 0, leaseMs: 60_000, maxHeld: 1_000 };
    expect(await store.reserve(asked)).toMatchObject({ outcome: 'reserved' });
    await store.close();
  });
  expect(rows).toBeLessThan(1_000);
});

it('what was written behind is looked up window by window, of however many sessions of its org that no statistics tell of', async () => {
  const { pool, schema, looksAt } = await scene();
  await pool.query(
    `alter table ${schema}.usage set (autovacuum_enabled = off);
     insert into ${schema}.usage select 'org-' || i, 'calls', 'day', 1, now() from generate_series(1, 20000) i;
     analyze ${schema}.usage;
     insert into ${schema}.usage select 'acme', 'calls', 'session:' || i, i, now() from generate_series(1, 20000) i`,
  );
  const rows = await looksAt('usage', async (watched) => {
    const windows = ['session:7', 'session:none', 'session:9'].map((window) => ({ key: 'calls', window }));
    const [seven, none, nine] = await postgresRepository({ pool: watched, schema }).loadUsage({
      org: 'acme',
      windows,
    });
    expect([seven?.used, none, nine?.used]).toEqual([7, null, 9]);
  });
  expect(rows).toBeLessThan(20);
});
