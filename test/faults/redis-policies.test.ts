import { describe, expect, it } from 'vitest';
import { gate } from '../guard/guard-scene.ts';
import { type RedisServer, type TcpProxy, waitUntil } from '../support/services.ts';
import { expectUnavailable, frameworks, type RedisApp, redisApp } from './redis-app.ts';
import { APPEND_ONLY, answersAgain, linkTo, ownRedis, restarted } from './redis-servers.ts';

interface Outage {
  /** Whether Redis still has its data afterwards. */
  readonly keeps: boolean;
  readonly begin: (redis: RedisServer, link: TcpProxy) => Promise<unknown>;
  readonly end: (redis: RedisServer, link: TcpProxy) => Promise<unknown>;
}

const outages: Readonly<Record<string, Outage>> = {
  'stops and goes on': {
    keeps: true,
    begin: (redis) => redis.kill('SIGSTOP'),
    end: (redis) => redis.kill('SIGCONT'),
  },
  'is cut off': {
    keeps: true,
    begin: async (_redis, link) => link.cut(),
    end: async (_redis, link) => link.restore(),
  },
  'is killed and comes back with its file': {
    keeps: true,
    begin: (redis) => redis.kill('SIGKILL'),
    end: (redis) => restarted(redis, APPEND_ONLY),
  },
  'is killed and comes back empty': {
    keeps: false,
    begin: (redis) => redis.kill('SIGKILL'),
    end: (redis) => restarted(redis),
  },
};

async function scene(framework: (typeof frameworks)[number], limit: number) {
  const redis = await ownRedis({ args: APPEND_ONLY });
  const link = await linkTo(redis);
  const app = await redisApp(framework, { url: link.url }, { limits: { devices: limit } });
  return { redis, link, app };
}

/** Units in use by key, as a customer is shown them. */
async function shown(app: RedisApp, org = 'acme'): Promise<Record<string, number>> {
  const { items } = await app.billing.usage({ org });
  return Object.fromEntries(items.map(({ key, current }) => [key, current]));
}

/** Somebody's create shows that Redis is back, and what is owed is paid: once, unless a recount has seen it already. */
async function isPaid(app: RedisApp, { keeps }: Outage): Promise<void> {
  await answersAgain(app);
  await app.fill(1, { org: 'passer-by' });
  for (const org of ['acme', 'roomy']) {
    const counted = async () => {
      const reading = await app.reading(org);
      return reading && reading.committed + reading.uncertain;
    };
    await waitUntil(`the creates of ${org} are counted or unknown`, async () => {
      const units = await counted();
      return units === null || units >= app.host.of(org);
    });
    if (keeps) expect(await counted()).toBe(app.host.of(org));
  }
}

/** What was let in during an outage is counted, and not twice: exactly so many creates as the rows leave room for are let in. */
async function hasRoomFor(app: RedisApp, creates: number, org = 'acme'): Promise<void> {
  expect(await app.fillUp({ org })).toBe(creates);
  expect((await shown(app, org)).devices).toBe(app.host.of(org));
}

describe.each(frameworks)('in an outage of Redis a guard on %s', (framework) => {
  it.each(Object.entries(outages))(
    "lets creates through under 'open', past the limit if need be, and counts them once when Redis %s",
    async (_how, outage) => {
      const { redis, link, app } = await scene(framework, 5);
      await app.fill(3);
      await app.fill(1, { org: 'roomy' });
      const finish = gate();
      const running = await app.begin({ until: finish.opened });
      await outage.begin(redis, link);

      for (let made = 0; made < 3; made += 1)
        expect(await app.create({ policy: 'open' })).toMatchObject({ status: 201 });
      for (let made = 0; made < 2; made += 1)
        expect(
          (await app.create({ policy: 'open', org: 'roomy', keys: ['devices', 'door_opens'] })).status,
        ).toBe(201);
      expectUnavailable(await app.create({ policy: 'closed' }));
      finish.open();
      expect((await running.answer).status).toBe(201);
      expect(app.host.of()).toBe(7);

      await outage.end(redis, link);
      await isPaid(app, outage);
      expect(await shown(app, 'roomy')).toEqual({ devices: 3, zones: 0, door_opens: 2 });
      expect(await shown(app)).toEqual({ devices: 7, zones: 0, door_opens: 0 });
      await hasRoomFor(app, 0);
      await hasRoomFor(app, 2, 'roomy');
      expect(app.host.of()).toBe(7);
    },
  );

  it.each(Object.entries(outages))(
    "decides on the host's rows under 'recount', and counts them once when Redis %s",
    async (_how, outage) => {
      const { redis, link, app } = await scene(framework, 6);
      await app.fill(2);
      await app.fill(1, { org: 'roomy' });
      await app.countsTheRows();
      await outage.begin(redis, link);

      const outcomes = await Promise.all(Array.from({ length: 10 }, () => app.create({ policy: 'recount' })));
      const statuses = outcomes.map(({ status }) => status).sort();
      expect(statuses).toEqual([201, 201, 201, 201, 429, 429, 429, 429, 429, 429]);
      expect(outcomes.filter(({ code }) => code === 'quota_exceeded')).toHaveLength(6);
      expect(app.host.of()).toBe(6);
      expect((await app.create({ policy: 'recount', org: 'roomy' })).status).toBe(201);
      expect((await app.create({ policy: 'recount', answer: 422, org: 'roomy' })).status).toBe(422);
      expectUnavailable(await app.create({ policy: 'recount', keys: ['door_opens'] }));
      expectUnavailable(await app.create({ policy: 'closed' }));

      await outage.end(redis, link);
      await isPaid(app, outage);
      await hasRoomFor(app, 0);
      await hasRoomFor(app, 4, 'roomy');
    },
  );

  it.each(Object.entries(outages))(
    'never tells an outage as a full quota, nor a full quota as an outage, when Redis %s (Q13)',
    async (_how, outage) => {
      const { redis, link, app } = await scene(framework, 2);
      await app.fill(2);
      await app.fill(1, { org: 'roomy' });
      const expectFull = async () => {
        for (const { status, code } of await Promise.all([app.create(), app.create()]))
          expect([status, code]).toEqual([429, 'quota_exceeded']);
      };
      await expectFull();
      await outage.begin(redis, link);
      for (const org of ['acme', 'roomy', 'acme', 'roomy']) expectUnavailable(await app.create({ org }));
      await outage.end(redis, link);
      await answersAgain(app);
      await expectFull();
      await hasRoomFor(app, 1, 'roomy');
    },
  );
});
