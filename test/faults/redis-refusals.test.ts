import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { gate } from '../guard/guard-scene.ts';
import { startRedis, waitUntil } from '../support/services.ts';
import { expectUnavailable, frameworks, type RedisApp, redisApp } from './redis-app.ts';
import { consoleOf, errorsOf, keysOfOrg, ownRedis } from './redis-servers.ts';

interface Injury {
  readonly injure: (client: Redis, other: Redis) => Promise<unknown>;
  readonly heal: (client: Redis) => Promise<unknown>;
}

const unlinked: Injury['heal'] = (client) => client.replicaof('NO', 'ONE');

/** What makes a running server refuse writes with an error of this name. */
const injuries: Readonly<Record<string, Injury>> = {
  READONLY: { injure: (client) => client.replicaof('127.0.0.1', 1), heal: unlinked },
  MASTERDOWN: {
    async injure(client) {
      await client.config('SET', 'replica-serve-stale-data', 'no');
      await client.replicaof('127.0.0.1', 1);
    },
    heal: unlinked,
  },
  NOREPLICAS: {
    injure: (client) => client.config('SET', 'min-replicas-to-write', '1'),
    heal: (client) => client.config('SET', 'min-replicas-to-write', '0'),
  },
  MISCONF: {
    async injure(client) {
      await client.config('SET', 'save', '3600 1', 'stop-writes-on-bgsave-error', 'yes');
      await client.set('unsaved', '1');
      await waitUntil('a background save has failed', async () => {
        await client.bgsave().catch(() => {});
        return (await client.info('persistence')).includes('rdb_last_bgsave_status:err');
      });
    },
    // Without a save point, or else a server that cannot save does not end when asked to.
    heal: (client) => client.config('SET', 'stop-writes-on-bgsave-error', 'no', 'save', ''),
  },
  BUSY: {
    async injure(client, other) {
      await client.config('SET', 'busy-reply-threshold', '50');
      other.eval('while true do end', 0).catch(() => {});
    },
    heal: (client) => client.script('KILL'),
  },
};

/** What a script that writes is answered. */
async function answerOf(client: Redis): Promise<string> {
  const answer = client.eval("return redis.call('SET', KEYS[1], 'x')", 1, 'probe');
  return answer.then(String, (error: Error) => error.message);
}

/** A create that fits and one that does not are told the same: nobody could decide. */
async function expectRefusal(app: RedisApp): Promise<void> {
  for (let tries = 0; tries < 3; tries += 1) expectUnavailable(await app.create());
  expectUnavailable(await app.create({ org: 'full' }));
}

async function expectRecovery(app: RedisApp): Promise<void> {
  await app.fill(1);
  await app.countsTheRows();
  expect(app.host.of()).toBe(2);
  expect(await app.fillUp({ org: 'full' })).toBe(0);
  expect(app.started(), 'no refused create ran').toBe(app.host.rows.length);
}

describe.each(frameworks)('when Redis refuses, a guard on %s', (framework) => {
  it.each(Object.entries(injuries))(
    'answers 503 and Retry-After to %s, for a full org too, and recovers with no restart (F17, Q13)',
    async (name, { injure, heal }) => {
      const redis = await ownRedis({ args: ['--dbfilename', 'taken'] });
      // What a background save of this server cannot be written to.
      mkdirSync(`${redis.dir}/taken`);
      const app = await redisApp(framework, { url: redis.url }, { limits: { devices: 3 } });
      await app.fill(1);
      await app.fill(3, { org: 'full' });
      const client = consoleOf(redis);
      await injure(client, consoleOf(redis));
      await waitUntil(`Redis says ${name}`, async () => (await answerOf(client)).startsWith(name));
      await expectRefusal(app);
      expect(await answerOf(client)).toMatch(name);
      await heal(client);
      await expectRecovery(app);
    },
  );

  it('answers 503 and Retry-After while Redis is LOADING, and recovers with no restart (F17, Q13)', async () => {
    const redis = await ownRedis();
    const app = await redisApp(framework, { url: redis.url }, { limits: { devices: 3 } });
    await app.fill(1);
    await app.fill(3, { org: 'full' });
    // A commit may come some milliseconds after its answer: what is saved is to have all of them.
    for (const org of ['acme', 'full']) await app.countsTheRows(org);
    const client = consoleOf(redis);
    // Most bytes first, and then most keys: Redis, and with it a client, believes all the time that it is soon done.
    await client.set('large', randomBytes(1_000_000));
    const small = Array.from({ length: 3_000 }, (_, index) => ['set', `small:${index}`, 'x']);
    await client.pipeline([['select', '1'], ...small, ['select', '0']]).exec();
    await client.save();
    await redis.kill('SIGKILL');
    // Microseconds a key, and bytes between two looks at the sockets.
    const slowly = ['--key-load-delay', '400', '--loading-process-events-interval-bytes', '1024'];
    const starting = startRedis({ port: redis.port, dir: redis.dir, args: slowly });
    onTestFinished(async () => (await starting).stop());
    await waitUntil('Redis says LOADING', async () => (await answerOf(client)).startsWith('LOADING'));
    await expectRefusal(app);
    expect(await answerOf(client)).toMatch('LOADING');
    await starting;
    await expectRecovery(app);
  });

  it('never shows that Redis forgets scripts and functions at any moment (F12)', async () => {
    const redis = await ownRedis();
    const app = await redisApp(framework, { url: redis.url, timeoutMs: 2_000 });
    const client = consoleOf(redis);
    await app.fill(1);
    const statuses = new Map<number, number>();
    let isOver = false;
    const flushing = (async () => {
      while (!isOver) await Promise.all([client.script('FLUSH'), client.function('FLUSH')]);
    })();
    const workers = Array.from({ length: 4 }, async (_, worker) => {
      for (let made = 0; made < 30; made += 1) {
        const { status } = await app.create({ answer: (made + worker) % 3 === 0 ? 422 : 201 });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    await Promise.all(workers);
    isOver = true;
    await flushing;
    expect(Object.fromEntries(statuses)).toEqual({ 201: 80, 422: 40 });
    const unknown = (await errorsOf(client, 'NOSCRIPT')) + (await errorsOf(client, 'ERR'));
    expect(unknown, 'Redis was asked for what it had forgotten').toBeGreaterThan(5);
    await app.countsTheRows();
  });

  it('over maxmemory refuses creates while running ones still end either way, and recovers as memory comes free (F14)', async () => {
    const redis = await ownRedis();
    const app = await redisApp(framework, { url: redis.url }, { limits: { devices: 6 } });
    const client = consoleOf(redis);
    await app.fill(1);
    const finish = gate();
    const running = await Promise.all(
      [201, 422, 201, 422].map((answer) => app.begin({ answer, until: finish.opened })),
    );
    const ballast = Array.from({ length: 200 }, (_, index) => [
      'set',
      `ballast:${index}`,
      'x'.repeat(20_000),
    ]);
    await client.pipeline(ballast).exec();
    const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
    await client.config('SET', 'maxmemory', String(used - 1_000_000));
    expect(await answerOf(client)).toMatch(/^OOM/);

    expectUnavailable(await app.create());
    finish.open();
    expect(await Promise.all(running.map(async ({ answer }) => (await answer).status))).toEqual([
      201, 422, 201, 422,
    ]);
    await app.countsTheRows();
    expect(app.host.of()).toBe(3);
    expectUnavailable(await app.create());
    expect(await answerOf(client)).toMatch(/^OOM/);

    await client.del(ballast.map(([, key]) => key ?? ''));
    expect(await app.fillUp()).toBe(3);
    expect(app.host.of()).toBe(6);
    await app.countsTheRows();
  });

  it('refuses a create of several keys whole when a key of its org has a foreign type, changes no byte and serves other orgs (F19, Q2, Q10)', async () => {
    const redis = await ownRedis();
    const app = await redisApp(framework, { url: redis.url, timeoutMs: 2_000 });
    const client = consoleOf(redis);
    const keys = ['devices', 'zones', 'door_opens'] as const;
    const finish = gate();
    await app.fill(2, { keys });
    const running = await app.begin({ keys, until: finish.opened });
    const stored = await keysOfOrg(client, 'acme');
    expect(stored.length).toBeGreaterThan(0);
    const bytesOf = (names: readonly string[]) => Promise.all(names.map((name) => client.dumpBuffer(name)));

    for (const planted of stored) {
      const [bytes] = await bytesOf([planted]);
      const lifeMs = Math.max(0, await client.pttl(planted));
      await client.del(planted);
      await client.rpush(planted, 'of a foreign type');
      const before = await bytesOf(stored);
      const [refused, other] = await Promise.all([app.create({ keys }), app.create({ keys, org: 'other' })]);
      expectUnavailable(refused);
      expect(other.status).toBe(201);
      expect((await app.create({ keys, org: 'other' })).status, 'nor is it in the way').toBe(201);
      expect(await bytesOf(stored), `with ${planted} planted`).toEqual(before);
      await client.del(planted);
      await client.restore(planted, lifeMs, bytes ?? '');
    }
    finish.open();
    expect((await running.answer).status).toBe(201);
    await app.fill(1, { keys });
    for (const key of ['devices', 'zones'] as const) await app.countsTheRows('acme', key);
    expect(app.host.of()).toBe(4);
  });
});
