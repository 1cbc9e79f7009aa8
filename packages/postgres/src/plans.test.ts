import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { expect, inject, it, onTestFinished } from 'vitest';
import type { PgPool } from './database/pg-types.ts';
import { heard, type Query } from './heard-pool.test-support.ts';
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
