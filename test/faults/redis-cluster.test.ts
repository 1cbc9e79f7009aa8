import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { expectUnavailable, frameworks, type Outcome, type RedisApp, redisApp } from './redis-app.ts';
import { dice } from './redis-dice.ts';
import { hostRows } from './redis-host-rows.ts';
import { type ThreeMasters, threeMasters } from './redis-three-masters.ts';

let cluster: ThreeMasters;

beforeAll(async () => {
  cluster = await threeMasters();
});
afterAll(() => cluster.stop());

/** Names of orgs whose counts are on these masters, in this order; each has one row then. */
async function orgsOn(masters: readonly number[], app: RedisApp, name: string): Promise<string[]> {
  const found = new Map<number, string>();
  for (let tried = 0; tried < 60 && !masters.every((master) => found.has(master)); tried += 1) {
    const org = `${name}-${tried}x`;
    await app.fill(1, { org });
    const { master } = await cluster.placeOf(org);
    if (!found.has(master)) found.set(master, org);
  }
  return masters.map((master) => found.get(master) ?? '');
}

describe.each(frameworks)('on a Redis Cluster of three, a guard on %s', (framework) => {
  const name = framework.replace(' ', '-');

  it('answers only success or 503 while the slot of an org moves, serves the others, and admits exactly the limit (F18, Q1)', {
    timeout: 60_000,
  }, async () => {
    const shared = { host: hostRows(), limits: { devices: 60 }, leaseMs: 2_000 };
    const store = { client: cluster.client, prefix: `${name}.move`, timeoutMs: 500 };
    const app = await redisApp(framework, store, shared);
    const other = await redisApp(framework, store, shared);
    const [moving = '', bystander = ''] = await orgsOn([0, 2], app, `${name}-move`);
    await app.fill(1, { org: moving, keys: ['devices', 'zones'] });
    const { slot } = await cluster.placeOf(moving);
    const redirections = async () =>
      (await cluster.errorsSaid('ASK')) + (await cluster.errorsSaid('TRYAGAIN'));
    const [redirected, moved] = [await redirections(), await cluster.errorsSaid('MOVED')];

    const outcomes: Outcome[] = [];
    const bystanders: Outcome[] = [];
    const { chance } = dice(18);
    let isOver = false;
    const workers = [app, other, app, other].map(async (one, worker) => {
      for (let turn = worker; !isOver; turn += 1) {
        const keys = turn % 2 === 0 ? (['devices'] as const) : (['devices', 'zones'] as const);
        const answer = turn % 3 === 0 ? 201 : 422;
        outcomes.push(await one.create({ org: moving, keys, answer, until: chance(2) }));
        bystanders.push(await one.create({ org: bystander, answer: 422 }));
      }
    });
    /** Waits until creates came as far as Redis. */
    const traffic = async () => {
      const [seen, before] = [outcomes.length, await redirections()];
      await waitUntil(
        'Redis was asked',
        async () =>
          outcomes.slice(seen + 4).some(({ status }) => status < 500) ||
          (outcomes.length > seen + 4 && (await redirections()) > before),
      );
    };
    await cluster.moveSlot(slot, 0, 1, traffic);
    const seen = outcomes.length;
    await waitUntil('creates are let in by the new master', () =>
      outcomes.slice(seen).some(({ status }) => status === 201 || status === 422),
    );
    isOver = true;
    await Promise.all(workers);
    expect(await redirections()).toBeGreaterThan(redirected);
    expect(await cluster.errorsSaid('MOVED')).toBeGreaterThan(moved);
    expect(await cluster.errorsSaid('CROSSSLOT')).toBe(0);
    expect(await cluster.placeOf(moving)).toEqual({ master: 1, slot });

    for (const outcome of outcomes) if (outcome.status >= 500) expectUnavailable(outcome);
    expect(outcomes.every(({ status }) => [201, 422, 429, 503].includes(status))).toBe(true);
    expect(new Set(bystanders.map(({ status }) => status))).toEqual(new Set([422]));
    await Promise.all([app, other].map((one) => one.fillUp({ org: moving })));
    expect(shared.host.of(moving)).toBe(60);
    for (const one of [app, other]) await one.countsTheRows(moving);
    await app.countsTheRows(moving, 'zones');
  });

  it('makes no second row of a create that its client repeats while its slot moves (F18, Q3)', async () => {
    const store = { client: cluster.client, prefix: `${name}.once`, timeoutMs: 200 };
    const shared = { host: hostRows() };
    const app = await redisApp(framework, store, shared);
    const other = await redisApp(framework, store, shared);
    const org = `${name}-once`;
    const create = { org, idempotencyKey: 'one' };
    await app.fill(1, create);
    await other.fill(1, { org, keys: ['zones'] });
    const { master, slot } = await cluster.placeOf(org);
    // All else is on the new master then, but for what is remembered of the create.
    const repeat = async (left: number) => left === 1 && expectUnavailable(await other.create(create));
    await cluster.moveSlot(slot, master, (master + 1) % 3, repeat, '|i:');
    for (const one of [app, other]) await one.fill(1, create);
    expect(shared.host.of(org)).toBe(1);
    await app.countsTheRows(org);
  });

  it('answers 503 while a master is dead, serves the orgs of the others where the cluster allows it, and recovers with no restart (F18, Q1)', {
    timeout: 60_000,
  }, async () => {
    const store = { client: cluster.client, prefix: `${name}.kill`, timeoutMs: 500 };
    const app = await redisApp(framework, store, { limits: { devices: 40 } });
    const [first = '', second = '', orphaned = ''] = await orgsOn([0, 1, 2], app, `${name}-kill`);
    await cluster.kill(2);
    expectUnavailable(await app.create({ org: orphaned }));
    await waitUntil(
      'the whole cluster refuses',
      async () => {
        const outcomes = await Promise.all([first, second, orphaned].map((org) => app.create({ org })));
        for (const outcome of outcomes) if (outcome.status !== 201) expectUnavailable(outcome);
        return outcomes.every(({ status }) => status === 503);
      },
      { everyMs: 100 },
    );
    expect(await cluster.errorsSaid('CLUSTERDOWN')).toBeGreaterThan(0);

    expect(await cluster.configure('cluster-require-full-coverage', 'no')).toBe(2);
    await app.fill(2, { org: first });
    await app.fill(2, { org: second });
    expectUnavailable(await app.create({ org: orphaned }));
    // What the dead master's orgs wait for is sought again and again meanwhile, and nobody else is held up by that.
    const until = performance.now() + 3_000;
    let unharmed = 0;
    while (performance.now() < until) {
      for (const org of [first, second])
        expect(await app.create({ org, answer: 422 })).toMatchObject({ status: 422 });
      unharmed += 2;
    }

    await cluster.restart(2);
    expect(await cluster.configure('cluster-require-full-coverage', 'yes')).toBe(3);
    for (const org of [first, second, orphaned]) {
      await app.fillUp({ org });
      expect(app.host.of(org)).toBe(40);
      await app.countsTheRows(org);
    }
    expect(await cluster.errorsSaid('CROSSSLOT')).toBe(0);
    expect(app.started(), 'no refused create ran').toBe(app.host.rows.length + unharmed);
  });
});
