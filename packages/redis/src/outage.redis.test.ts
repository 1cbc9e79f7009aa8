import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { describe, expect, it, vi } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { charge, count, DEVICES, read, reserve, settle, timed } from './faults.test-support.ts';
import { answers, plain, proxied, server, store } from './outage-scene.test-support.ts';

describe('the Redis counter store in an outage', () => {
  it('answers within its own time-out while Redis is stopped, then at once, and leaks nothing (F11)', async () => {
    const redis = await server();
    const client = plain(redis);
    const duplicate = vi.spyOn(client, 'duplicate');
    const counters = store({ client, timeoutMs: 200 });
    const own = duplicate.mock.results[0]?.value as Redis;
    await once(own, 'ready');
    await count(counters, 0);
    for (let made = 0; made < 20; made += 1) await reserve(counters, `before-${made}`);
    const connectsAnew = once(own, 'connect');
    await redis.kill('SIGSTOP');

    const first = await Promise.all([
      timed(() => reserve(counters, 'stalled', { rememberMs: 60_000 })),
      ...Array.from({ length: 20 }, (_, made) => timed(() => settle(counters, `before-${made}`, 'commit'))),
    ]);
    for (const { result, ms } of first) {
      expect(result).toBe('quota_unavailable');
      expect(ms).toBeLessThan(400);
    }
    const later = [];
    for (let tries = 0; tries < 50; tries += 1)
      later.push(await timed(() => reserve(counters, `away-${tries}`)));
    expect(new Set(later.map(({ result }) => result))).toEqual(new Set(['quota_unavailable']));
    expect(later.map(({ ms }) => ms).sort((a, b) => a - b)[25]).toBeLessThan(5);

    // What was on its way is then told over two connections.
    await connectsAnew;
    await redis.kill('SIGCONT');
    await answers(counters);
    await waitUntil(
      'all that was on its way has arrived',
      async () => (await read(counters))?.committed === 20,
    );
    expect(await read(counters)).toMatchObject({ committed: 20, held: 0, uncertain: 0 });
    const again = await reserve(counters, 'stalled', { rememberMs: 60_000 });
    expect(again, 'its caller was told that it was not made').toMatchObject({ outcome: 'reserved' });
  });

  it('takes an answer that came while this process was busy for an answer, however long it was busy', async () => {
    const redis = await server();
    const counters = store({ url: redis.url, timeoutMs: 100 });
    await count(counters, 0);
    const made = Array.from({ length: 40 }, (_, index) => reserve(counters, `busy-${index}`));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const until = performance.now() + 300;
    while (performance.now() < until);
    const outcomes = (await Promise.all(made)).map(({ outcome }) => outcome);
    expect(new Set(outcomes)).toEqual(new Set(['reserved']));
  });

  it('runs a batch whose reply was lost once (F13)', async () => {
    const redis = await server();
    const proxy = await proxied(redis);
    const counters = store({ url: proxy.url, timeoutMs: 200 });
    await count(counters, 0);
    for (let round = 0; round < 5; round += 1) {
      const id = `lost-${round}`;
      await reserve(counters, id);
      proxy.dropReplies(true);
      // What has no id, nothing but the batch itself can be known by.
      const adjustments = [{ ...DEVICES, amount: 1, change: 'charged', forgetAt: null } as const];
      const both = await Promise.all([
        timed(() => settle(counters, id, 'commit')),
        timed(() => counters.adjust({ org: 'acme', adjustments })),
      ]);
      for (const { result } of both) expect(result).toBe('quota_unavailable');
      proxy.cut();
      proxy.restore();
      await answers(counters);
    }
    expect(await read(counters)).toMatchObject({ committed: 10, held: 0 });
  });

  it('recovers a connection whose replies have slipped', async () => {
    const redis = await server();
    const proxy = await proxied(redis);
    const counters = store({ url: proxy.url, timeoutMs: 200 });
    await count(counters, 0);
    proxy.dropReplies(true);
    expect((await timed(() => reserve(counters, 'swallowed'))).result).toBe('quota_unavailable');
    proxy.restore();
    await answers(counters);
    expect(await reserve(counters, 'next')).toMatchObject({ outcome: 'reserved' });
    await settle(counters, 'next', 'commit');
    expect(await read(counters)).toMatchObject({ committed: 1, held: 0 });
  });

  it('says unavailable from the start when there is no Redis, and works once there is', async () => {
    const redis = await server();
    await redis.stop();
    const counters = store({ url: redis.url, timeoutMs: 200 });
    const { result, ms } = await timed(() => reserve(counters, 'early'));
    expect(result).toBe('quota_unavailable');
    expect(ms).toBeLessThan(400);
    await server({ port: redis.port });
    await answers(counters);
    await count(counters, 0);
    expect(await reserve(counters, 'now')).toMatchObject({ outcome: 'reserved' });
  });

  it('has equal state after a kill and a restart from the append-only file, scripts included (F9)', async () => {
    const redis = await server({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    const counters = store({ url: redis.url });
    await count(counters, 3);
    await reserve(counters, 'open');
    await reserve(counters, 'done');
    await settle(counters, 'done', 'commit');
    const before = await read(counters);
    await redis.kill('SIGKILL');
    expect((await timed(() => reserve(counters, 'away'))).result).toBe('quota_unavailable');
    await server({
      port: redis.port,
      dir: redis.dir,
      args: ['--appendonly', 'yes', '--appendfsync', 'always'],
    });
    await answers(counters);
    expect(await read(counters)).toMatchObject({ ...before, countAgeMs: expect.any(Number) });
    expect(await settle(counters, 'open', 'commit')).toMatchObject({ outcome: 'settled' });
    expect(await read(counters)).toMatchObject({ committed: 5, held: 0, uncertain: 0 });
  });

  it.each(['a restart with nothing', 'FLUSHALL', 'DEL of the keys of the org'])(
    'after %s every count is unknown, and what runs in this process is held again before a recount admits (F10, Q9)',
    async (loss) => {
      const redis = await server();
      const counters = store({ url: redis.url });
      await count(counters, 0);
      for (let made = 0; made < 4; made += 1)
        await reserve(counters, `running-${made}`, { charges: [charge({ limit: 5 })] });
      if (loss === 'FLUSHALL') await plain(redis).flushall();
      else if (loss.startsWith('DEL')) {
        const client = plain(redis);
        await client.del(await client.keys('*acme*'));
      } else {
        await redis.kill('SIGKILL');
        await server({ port: redis.port });
        await answers(counters);
      }
      const charges = [charge({ limit: 5 })];
      expect(await reserve(counters, 'next', { charges })).toEqual({ outcome: 'unknown', missing: [0] });
      await count(counters, 0);
      expect(await read(counters)).toMatchObject({ committed: 0, held: 4 });
      expect(await reserve(counters, 'fifth', { charges })).toMatchObject({ outcome: 'reserved' });
      expect(await reserve(counters, 'sixth', { charges })).toMatchObject({ outcome: 'denied' });
      expect(await settle(counters, 'running-0', 'commit', { charges })).toMatchObject({
        outcome: 'settled',
      });
      expect(await read(counters)).toMatchObject({ held: 4, uncertain: 1 });
    },
  );

  it('counts and logs an outage and a loss once each, however much is asked meanwhile (F10, Q1x)', async () => {
    const redis = await server();
    const counted: string[] = [];
    const said: string[] = [];
    const say = (message: string) => void said.push(message);
    // What the default logger writes.
    const logger = { debug() {}, info() {}, warn: say, error: say };
    const telemetry = { count: (metric: string) => void counted.push(metric) };
    const counters = store({ url: redis.url, logger, telemetry });
    await count(counters, 0);
    await reserve(counters, 'running');
    await redis.kill('SIGKILL');
    for (let tries = 0; tries < 3; tries += 1)
      expect((await timed(() => reserve(counters, `away-${tries}`))).result).toBe('quota_unavailable');
    await server({ port: redis.port });
    await answers(counters);
    expect(await read(counters)).toBeNull();
    expect(counted).toEqual(['tollgate.store_away', 'tollgate.store_lost']);
    expect(said).toEqual([
      expect.stringContaining('does not answer'),
      expect.stringContaining('answers again'),
      expect.stringContaining('lost data'),
    ]);
  });

  it('a process without open reservations notices a restored older state at its next batch (F9, F16)', async () => {
    const redis = await server();
    const counters = store({ url: redis.url });
    await count(counters, 0);
    const client = plain(redis);
    const kept = await Promise.all(
      (await client.keys('*')).map(async (key) => [key, await client.dumpBuffer(key)] as const),
    );
    for (let made = 0; made < 5; made += 1) {
      await reserve(counters, `lost-${made}`);
      await settle(counters, `lost-${made}`, 'commit');
    }
    await client.flushall();
    for (const [key, bytes] of kept) await client.restore(key, 0, bytes);
    expect(await read(counters)).toBeNull();
    expect(await reserve(counters, 'next')).toEqual({ outcome: 'unknown', missing: [0] });
  });

  it('the loss of the leases alone makes the counters they held unknown, and no others (F15, Q9)', async () => {
    const redis = await server();
    const counters = store({ url: redis.url });
    await count(counters, 2);
    await reserve(counters, 'open');
    const client = plain(redis);
    await client.del(await client.keys('*|l'));
    expect(await read(counters)).toBeNull();
    expect(await settle(counters, 'open', 'commit')).toEqual({ outcome: 'gone' });
  });

  it('a promoted replica that lacks the last writes is another epoch: everything is recounted (F16)', async () => {
    const primary = await server();
    const link = await proxied(primary);
    const replica = await server({ args: ['--replicaof', `127.0.0.1 ${link.port}`] });
    const ahead = plain(primary);
    const behind = plain(replica);
    const first = store({ url: primary.url });
    await count(first, 0);
    await reserve(first, 'kept');
    await waitUntil(
      'the replica has caught up',
      async () => (await behind.dbsize()) === (await ahead.dbsize()),
    );
    await ahead.wait(1, 5_000);
    link.cut();
    for (let made = 0; made < 3; made += 1) await reserve(first, `lost-${made}`);
    await behind.replicaof('NO', 'ONE');
    // A process that never wrote to the old primary has only the server's history to tell by.
    const second = store({ url: replica.url });
    expect(await read(second)).toBeNull();
    await count(second, 0);
    expect(await read(second)).toMatchObject({ committed: 0, held: 1 });
  });

  it('over maxmemory a reserve is unavailable while commits and releases still work (F14)', async () => {
    const redis = await server();
    const counters = store({ url: redis.url });
    await count(counters, 0);
    for (let made = 0; made < 4; made += 1) await reserve(counters, `open-${made}`);
    const client = plain(redis);
    await client.config('SET', 'maxmemory', '1mb');
    expect((await timed(() => reserve(counters, 'full'))).result).toBe('quota_unavailable');
    expect(await settle(counters, 'open-0', 'commit')).toMatchObject({ outcome: 'settled' });
    expect(await settle(counters, 'open-1', 'release')).toMatchObject({ outcome: 'settled' });
    const both = await Promise.all([
      timed(() => reserve(counters, 'full-2')),
      timed(() => settle(counters, 'open-2', 'commit')),
    ]);
    expect(both[0]?.result).toBe('quota_unavailable');
    expect(both[1]?.result).toMatchObject({ outcome: 'settled' });
    expect(await read(counters)).toMatchObject({ committed: 2, held: 1 });
    await client.config('SET', 'maxmemory', '0');
    expect(await reserve(counters, 'again')).toMatchObject({ outcome: 'reserved' });
  });

  it('warns at start about a policy that evicts (F15)', async () => {
    const redis = await server({ args: ['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru'] });
    const warnings: string[] = [];
    const logger = { debug() {}, info() {}, warn: (message: string) => warnings.push(message), error() {} };
    store({ url: redis.url, logger });
    await waitUntil('it warns', () => warnings.some((message) => message.includes('allkeys-lru')));
  });

  it.each([
    [
      'READONLY',
      (client: Redis) => client.replicaof('127.0.0.1', 1),
      (client: Redis) => client.replicaof('NO', 'ONE'),
    ],
    [
      'NOREPLICAS',
      (client: Redis) => client.config('SET', 'min-replicas-to-write', '1'),
      (client: Redis) => client.config('SET', 'min-replicas-to-write', '0'),
    ],
    [
      'MASTERDOWN',
      async (client: Redis) => {
        await client.config('SET', 'replica-serve-stale-data', 'no');
        await client.replicaof('127.0.0.1', 1);
      },
      (client: Redis) => client.replicaof('NO', 'ONE'),
    ],
    [
      'MISCONF',
      async (client: Redis) => {
        await client.config('SET', 'save', '3600 1', 'stop-writes-on-bgsave-error', 'yes');
        await client.set('unsaved', '1');
        await waitUntil('a background save has failed', async () => {
          await client.bgsave().catch(() => {});
          return (await client.info('persistence')).includes('rdb_last_bgsave_status:err');
        });
      },
      (client: Redis) => client.config('SET', 'stop-writes-on-bgsave-error', 'no'),
    ],
    [
      'BUSY',
      async (client: Redis) => {
        await client.config('SET', 'busy-reply-threshold', '50');
        client.eval('while true do end', 0).catch(() => {});
        const other = client.duplicate({ enableReadyCheck: false });
        await waitUntil('Redis says BUSY', () =>
          other.ping().then(
            () => false,
            (error: Error) => error.message.startsWith('BUSY'),
          ),
        );
        other.disconnect();
      },
      async (client: Redis) => {
        const other = client.duplicate({ enableReadyCheck: false });
        await other.script('KILL');
        other.disconnect();
      },
    ],
  ] as const)(
    'while Redis answers %s, a call is unavailable and nothing else; it recovers by itself (F17)',
    async (_name, injure, heal) => {
      const redis = await server({ args: ['--dbfilename', 'taken'] });
      // What a background save of this server cannot be written to.
      mkdirSync(`${redis.dir}/taken`);
      const counters = store({ url: redis.url, timeoutMs: 200 });
      await count(counters, 0);
      const client = plain(redis);
      await injure(client);
      for (let tries = 0; tries < 3; tries += 1) {
        const { result, ms } = await timed(() => reserve(counters, `no-${tries}`));
        expect(result).toBe('quota_unavailable');
        expect(ms).toBeLessThan(400);
      }
      await heal(client);
      await answers(counters);
      if ((await read(counters)) === null) await count(counters, 0);
      expect(await reserve(counters, 'yes')).toMatchObject({ outcome: 'reserved' });
      await settle(counters, 'yes', 'commit');
      expect(await read(counters)).toMatchObject({ committed: 1, held: 0 });
    },
  );

  it('a key of a foreign type refuses the whole reserve and changes nothing, of this org or another (F19, Q2)', async () => {
    const redis = await server();
    const counters = store({ url: redis.url });
    const day = { key: 'opens', window: 'day:2026-04-09' };
    await count(counters, 0);
    await count(counters, 0, 'globex');
    const client = plain(redis);
    await client.set(`{tg}:acme:${day.window}`, 'not a hash');
    const charges = [charge(), charge(day)];
    const [broken, sound] = await Promise.all([
      timed(() => reserve(counters, 'broken', { charges })),
      timed(() => reserve(counters, 'sound', { org: 'globex' })),
    ]);
    expect(broken?.result).toBe('quota_unavailable');
    expect(sound?.result).toMatchObject({ outcome: 'reserved' });
    expect(await read(counters)).toMatchObject({ committed: 0, held: 0 });
    expect(await client.exists('{tg}:acme|l')).toBe(0);
  });

  it('a damaged value refuses what its own org asks, and nothing that is asked along with it (F19, Q2)', async () => {
    const redis = await server();
    const counters = store({ url: redis.url });
    await count(counters, 0);
    await count(counters, 0, 'globex');
    await plain(redis).hset('{tg}:acme', 'devices', Buffer.from([0xcf]));
    const [sound, broken] = await Promise.all([
      timed(() => reserve(counters, 'sound', { org: 'globex' })),
      timed(() => reserve(counters, 'broken')),
    ]);
    expect(broken.result).toBe('quota_unavailable');
    expect(sound.result).toMatchObject({ outcome: 'reserved' });
    expect(await read(counters, 'globex')).toMatchObject({ committed: 0, held: 1 });
  });

  it('with 200 ms of latency, jitter and resets there is success or unavailable, and the count is exact (F20, Q3)', async () => {
    const redis = await server();
    const proxy = await proxied(redis);
    const counters = store({ url: proxy.url, timeoutMs: 300 });
    const direct = store({ url: redis.url });
    await count(direct, 0);
    const outcomes: string[] = [];
    let isOver = false;
    const injuring = (async () => {
      for (let step = 0; !isOver; step += 1) {
        proxy.delay([0, 20, 100, 40][step % 4] ?? 0);
        if (step % 5 === 4) {
          proxy.cut();
          proxy.restore();
        }
        await sleep(30);
      }
    })();
    const working = Array.from({ length: 8 }, async (_, worker) => {
      for (let made = 0; made < 25; made += 1) {
        const id = `w${worker}-${made}`;
        const { result } = await timed(() =>
          reserve(counters, id, { leaseMs: 3_000, charges: [charge({ limit: 1_000 })] }),
        );
        outcomes.push(typeof result === 'string' ? result : result.outcome);
        if (typeof result !== 'string')
          await timed(() => settle(counters, id, 'commit', { charges: [charge({ limit: 1_000 })] }));
        else await sleep(20);
      }
    });
    await Promise.all(working);
    isOver = true;
    await injuring;
    proxy.restore();
    await answers(counters);
    const made = outcomes.filter((outcome) => outcome === 'reserved').length;
    expect(made).toBeGreaterThan(0);
    expect(outcomes.filter((outcome) => outcome !== 'reserved' && outcome !== 'quota_unavailable')).toEqual(
      [],
    );
    await waitUntil('nothing is held any more', async () => (await read(direct))?.held === 0);
    expect(await read(direct)).toMatchObject({ committed: made, held: 0, uncertain: 0 });
  });
});
