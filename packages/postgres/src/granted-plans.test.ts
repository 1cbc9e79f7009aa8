import { type Billing, capacity, createBilling } from '@tollgate/core';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { postgresRepository } from './postgres-repository.ts';
import { postgresForTesting, type TestingDatabase } from './testing-database.test-support.ts';

const PROCESSES = 4;
const CALLS_EACH = 3;
let database: TestingDatabase;
const pools: pg.Pool[] = [];
let engines: readonly Billing[] = [];

beforeAll(async () => {
  database = await postgresForTesting(inject('databaseUrl'));
  engines = Array.from({ length: PROCESSES }, () => {
    const pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 4 });
    pools.push(pool);
    return createBilling({
      quotas: { devices: capacity() },
      tiers: [
        { slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 0, limits: { devices: 3 } },
        { slug: 'pro', name: 'Pro', sortOrder: 1, limits: { devices: 50 } },
        { slug: 'business', name: 'Business', sortOrder: 2, limits: { devices: 500 } },
      ],
      inventory: { count: async () => 0, list: async function* () {}, find: async () => null },
      access: () => null,
      provider: null,
      repository: postgresRepository({ pool, schema: database.s }),
    }) as Billing;
  });
});
afterAll(async () => {
  await Promise.all(engines.map((billing) => billing.close()));
  await Promise.all(pools.map((pool) => pool.end()));
  await database.drop();
});

it('an org that many grant a plan at once, in several engines, has one grant and one history', async () => {
  const [first] = engines as readonly [Billing];
  const until = Date.now() + 86_400_000;
  for (const round of [1, 2, 3]) {
    const calls = engines.flatMap((billing, n) =>
      Array.from({ length: CALLS_EACH }, () =>
        billing.grantPlan({ org: 'acme', tier: n % 2 === 0 ? 'pro' : 'business', until, actor: `op-${n}` }),
      ),
    );
    await Promise.all(calls);
    const live = await database.raw<{ id: string; version: number }>(
      `select id, version::int from ${database.s}.subscriptions where ended_at is null`,
    );
    expect(live).toMatchObject([{ id: `grant_acme_${round}` }]);
    const audit = (await first.audit()).filter(({ subject }) => subject === live[0]?.id);
    expect(audit).toHaveLength(live[0]?.version ?? 0);
    // Each change was made to what the one before it left.
    audit.forEach(({ before }, n) => {
      expect(before).toEqual(audit[n + 1]?.after ?? null);
    });
    await Promise.all(engines.map((billing) => billing.grantPlan({ org: 'acme', tier: null, actor: 'op' })));
    expect(await first.plan('acme')).toMatchObject({ tier: 'free', subscription: null });
  }
});
