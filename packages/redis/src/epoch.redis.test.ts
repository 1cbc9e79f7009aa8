import type { CounterStore } from '@tollgate/core';
import type { Redis } from 'ioredis';
import { describe, expect, it, vi } from 'vitest';
import { type RedisServer, waitUntil } from '../../../test/support/services.ts';
import { charge, count, read, reserve, settle } from './faults.test-support.ts';
import { answers, create, endings, plain, server, store } from './outage-scene.test-support.ts';
import { openRedisCounterStore } from './redis-counter-store.ts';
import { opening } from './scripts/opening.ts';

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Puts everything back as it was when this was called. */
async function snapshot(client: Redis): Promise<() => Promise<void>> {
  const keys = await client.keys('*');
  const dumps = await Promise.all(keys.map(async (key) => [key, await client.dumpBuffer(key)] as const));
  return async () => {
    await client.flushall();
    for (const [key, dump] of dumps) await client.restore(key, 0, dump as Buffer);
  };
}

const QUICK_SYNC = ['--repl-diskless-sync-delay', '0'];

/** A replica that has all of a server's writes, promoted while that server goes on. */
async function promoted(old: RedisServer): Promise<RedisServer> {
  const replica = await server({
    args: ['--replicaof', `127.0.0.1 ${old.port}`],
  });
  const client = plain(replica);
  const primary = plain(old);
  const numberIn = (info: string, field: string) => new RegExp(`\\b${field}:(\\d+)`).exec(info)?.[1];
  await waitUntil('the replica has everything', async () => {
    const [here, there] = [await client.info('replication'), await primary.info('replication')];
    const isLinked = here.includes('master_link_status:up');
    return isLinked && numberIn(here, 'slave_repl_offset') === numberIn(there, 'master_repl_offset');
  });
  await client.replicaof('NO', 'ONE');
  return replica;
}

/** Ends a server, and leads its address to another one. */
async function replace(old: RedisServer, by: RedisServer): Promise<void> {
  await old.kill('SIGKILL');
  await plain(by).config('SET', 'port', String(old.port));
}

/** A server that has read its data from a snapshot. */
async function begunFromSnapshot(args: readonly string[] = []): Promise<RedisServer> {
  const earlier = await server();
  await plain(earlier).set('key', 'value');
  await plain(earlier).save();
  await earlier.kill('SIGKILL');
  return server({ dir: earlier.dir, args: [...args] });
}

describe('the epoch of a Redis counter store', () => {
  it.each([
    ['a server', () => server()],
    ['a replica that was promoted', async () => promoted(await server({ args: QUICK_SYNC }))],
  ])(
    'is new once after a loss of %s, however many processes find their writes gone (F10, Q9)',
    async (_what, start) => {
      const redis = await start();
      const client = plain(redis);
      const [first, second] = [store({ url: redis.url }), store({ url: redis.url })];
      await count(first, 0);
      await Promise.all([create(first, 40), create(second, 0)]);
      // More than one batch at a time: each of a process' slots has writes to miss.
      await Promise.all(
        Array.from({ length: 80 }, (_, index) => reserve(second, `held-${index}`, { org: `org-${index}` })),
      );
      await client.flushall();
      expect(await read(first)).toBeNull();
      await count(first, 40);
      await Promise.all(
        Array.from({ length: 80 }, (_, index) => reserve(second, `again-${index}`, { org: `org-${index}` })),
      );
      for (const one of [second, first])
        expect(await read(one)).toMatchObject({ committed: 40, uncertain: 0 });
    },
  );

  it('is new when an earlier one is back from a copy (F16, Q9)', async () => {
    const redis = await server();
    const client = plain(redis);
    const [first, second] = [store({ url: redis.url }), store({ url: redis.url })];
    await count(first, 0);
    await create(first, 1);
    await create(second, 1);
    const restore = await snapshot(client);
    await client.flushall();
    expect(await read(first)).toBeNull();
    await count(first, 2);
    await restore();
    expect(await read(first)).toBeNull();
    expect(await read(second)).toBeNull();
  });

  it('is new when the writes of the last batch alone that was acknowledged are missing (F16, Q9)', async () => {
    const redis = await server();
    const client = plain(redis);
    const [first, second] = [store({ url: redis.url }), store({ url: redis.url })];
    await count(first, 0);
    await reserve(first, 'r');
    const restore = await snapshot(client);
    await settle(first, 'r', 'commit');
    await restore();
    expect(await read(first)).toBeNull();
    await count(first, 1);
    expect(await read(second)).toMatchObject({ committed: 1 });
  });

  it('is new when the record of a batch that was acknowledged is gone before its time (F16, Q9)', async () => {
    const redis = await server();
    const client = plain(redis);
    const counters = store({ url: redis.url });
    await count(counters, 3);
    expect(await read(counters)).toMatchObject({ committed: 3 });
    await client.del(await client.keys('{tg}b:*'));
    expect(await read(counters)).toBeNull();
  });

  it('is new when a server that was replaced has acknowledged more since the epoch of its successor began (F16, Q9)', async () => {
    const old = await server({ args: QUICK_SYNC });
    const late = store({ url: old.url });
    await count(late, 0);
    await create(late, 2);
    const next = await promoted(old);
    const onNext = store({ url: next.url });
    await waitUntil('the successor counts anew', async () => (await read(onNext)) === null);
    await count(onNext, 2);
    await create(late, 5);
    await replace(old, next);
    await answers(late);
    expect(await read(late)).toBeNull();
    await count(late, 7);
    expect(await read(onNext)).toMatchObject({ committed: 7 });
  });

  it('is new once after a failover, whoever notices it first (F16, Q9)', async () => {
    const old = await server({ args: QUICK_SYNC });
    const counters = store({ url: old.url });
    await count(counters, 0);
    const next = await promoted(old);
    await create(counters, 3);
    await replace(old, next);
    await answers(counters);
    expect(await read(counters)).toBeNull();
    await count(counters, 3);
    const checked = performance.now();
    // Its server is looked at once a second.
    await waitUntil('the server was looked at again', async () => {
      expect(await read(counters)).toMatchObject({ committed: 3, uncertain: 0 });
      return performance.now() - checked > 1_200;
    });
  });

  it.each([
    ['has run for a while', 60_000],
    ['has just begun', 10],
  ])(
    'is new when a server began from a snapshot that lacks the last writes, and no process is left that misses its own: to one that %s (F9, Q9)',
    async (_how, age) => {
      const redis = await server();
      const before = store({ url: redis.url });
      await count(before, 0);
      await create(before, 3);
      await plain(redis).save();
      await create(before, 4);
      await before.close();
      await redis.kill('SIGKILL');
      const { port, dir } = redis;
      const again = await server({ port, dir });
      const now = performance.now.bind(performance);
      const startedAt = now() - age;
      vi.spyOn(performance, 'now').mockImplementation(() => now() - startedAt);
      const [first, second] = [store({ url: again.url }), store({ url: again.url })];
      expect(await read(first)).toBeNull();
      await count(first, 7);
      expect(await read(second)).toMatchObject({ committed: 7 });
    },
  );

  it('is new when a server began from a snapshot after a process had waited for longer than its writes are recognised (F9, Q9)', async () => {
    const redis = await server();
    const [one, two] = [1, 2].map(() => {
      const options = { url: redis.url, prefix: 'tg', timeoutMs: 100, logger: silent };
      const opened = openRedisCounterStore(options, { recordMs: 1_000 });
      endings.push(() => opened.close());
      return opened;
    }) as [CounterStore, CounterStore];
    await count(one, 0);
    await create(one, 3);
    await read(two);
    await plain(redis).save();
    await create(one, 4);
    await read(two);
    await redis.kill('SIGKILL');
    const diedAt = performance.now();
    await waitUntil('it is away for longer than that', async () => performance.now() - diedAt > 1_100);
    const { port, dir } = redis;
    await server({ port, dir });
    await answers(one);
    expect(await read(one)).toBeNull();
    await count(one, 7);
    await answers(two);
    for (const store of [two, one]) expect(await read(store)).toMatchObject({ committed: 7, uncertain: 0 });
  });

  it('is kept by a server that began from its append-only file, of which the first part is a snapshot (F9)', async () => {
    const args = ['--appendonly', 'yes', '--appendfsync', 'always'];
    const redis = await server({ args });
    const counters = store({ url: redis.url });
    await count(counters, 3);
    const admin = plain(redis);
    await admin.bgrewriteaof();
    await waitUntil('it is rewritten', async () =>
      /aof_rewrite_in_progress:0\s+aof_rewrite_scheduled:0/.test(await admin.info('persistence')),
    );
    await redis.kill('SIGKILL');
    const again = await server({ port: redis.port, dir: redis.dir, args });
    expect(await plain(again).info('persistence')).toMatch(/rdb_last_load_keys_loaded:[1-9]/);
    await answers(counters);
    for (const one of [counters, store({ url: redis.url })])
      expect(await read(one)).toMatchObject({ committed: 3 });
  });

  it('is new once when a server began from a snapshot, however many processes miss their last writes (F9, Q9)', async () => {
    const redis = await server();
    const [first, second] = [store({ url: redis.url }), store({ url: redis.url })];
    await count(first, 0);
    await create(second, 1);
    await plain(redis).save();
    for (const counters of [first, second]) await create(counters, 2);
    await redis.kill('SIGKILL');
    const { port, dir } = redis;
    await server({ port, dir });
    await answers(first);
    expect(await read(first)).toBeNull();
    await count(first, 5);
    await answers(second);
    for (const counters of [second, first]) expect(await read(counters)).toMatchObject({ committed: 5 });
  });

  it('is kept by a server that gives itself another name while it runs, though it began from a snapshot', async () => {
    const redis = await begunFromSnapshot(['--enable-debug-command', 'yes']);
    const before = store({ url: redis.url });
    await count(before, 3);
    await plain(redis).call('DEBUG', 'CHANGE-REPL-ID');
    const later = store({ url: redis.url });
    for (const store of [later, before]) expect(await read(store)).toMatchObject({ committed: 3 });
  });

  it('is kept by a server that says who it is only later, though it began from a snapshot', async () => {
    const redis = await begunFromSnapshot();
    const admin = plain(redis);
    await admin.acl('SETUSER', 'gate', 'on', '>secret', '~*', '+@all', '-info');
    const url = redis.url.replace('//', '//gate:secret@');
    const before = store({ url });
    await count(before, 3);
    await admin.acl('SETUSER', 'gate', '+info');
    const later = store({ url });
    for (const store of [later, before]) expect(await read(store)).toMatchObject({ committed: 3 });
  });

  it('keeps sums within 2^53-1 when more is made known again than fits (F10, Q7)', async () => {
    const most = Number.MAX_SAFE_INTEGER;
    const redis = await server();
    const client = plain(redis);
    const [first, second] = [store({ url: redis.url }), store({ url: redis.url })];
    const holding = (amount: number) => ({ charges: [charge({ amount, limit: null })] });
    await count(first, 0);
    await reserve(first, 'before', holding(most));
    await read(second);
    await client.flushall();
    await count(second, 5);
    await reserve(second, 'after', holding(most - 5));
    await waitUntil('what it held is known again', async () => {
      await read(first);
      return (await client.hexists('{tg}:acme|l', 'before')) === 1;
    });
    expect(await read(second)).toMatchObject({ committed: 5, held: most - 5, uncertain: 0 });
    await count(second, 7);
    expect(await read(second)).toMatchObject({ committed: 0, held: most, uncertain: 0 });
  });

  it('is kept by a server that does not say who it is, as some compatible ones do not', async () => {
    const client = plain(await server());
    const script = `${opening}
      setUp(KEYS, '[1,1,false,0,0,0]', ARGV[1])
      local real = try
      try = function(name, ...)
        if name == 'INFO' then return 'role:master' end
        return real(name, ...)
      end
      open(1)
      for index = #out, size + 1, -1 do out[index] = nil end
      return out`;
    const openWith = async (epochSeen: number) => {
      const shared = JSON.stringify([false, epochSeen, 0, 1, true, 0, false, [], []]);
      return (await client.eval(script, 2, 'record', 'epoch', shared)) as number[];
    };
    const [, epoch = 0, named] = await openWith(0);
    expect([epoch > 1_700_000_000, named]).toEqual([true, 0]);
    expect((await openWith(epoch)).slice(0, 3)).toEqual([1, epoch, 0]);
  });
});
