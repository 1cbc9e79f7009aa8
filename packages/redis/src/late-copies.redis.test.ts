import type { CounterStore } from '@tollgate/core';
import { expect, it } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { charge, count, DEVICES, read, reserve, settle, timed } from './faults.test-support.ts';
import {
  answers,
  clientWhoseCalls,
  endings,
  plain,
  proxied,
  server,
  store,
} from './outage-scene.test-support.ts';
import { OPERATION } from './protocol.ts';
import { openRedisCounterStore } from './redis-counter-store.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
/** Instead of two minutes. */
const recordMs = 1_500;

/** A store whose batches Redis recognises for a short while, on a way to Redis that can be cut. */
async function forgetful() {
  const redis = await server();
  const proxy = await proxied(redis);
  const counters = openRedisCounterStore({ url: proxy.url, timeoutMs: 600, logger: silent }, { recordMs });
  endings.push(() => counters.close());
  await count(counters, 5);
  return { redis, proxy, counters, client: plain(redis) };
}

async function pass(ms: number): Promise<void> {
  const startedAt = performance.now();
  await waitUntil('so long passes', () => performance.now() - startedAt > ms);
}

const create = async (counters: CounterStore, id: string) => {
  await reserve(counters, id);
  await settle(counters, id, 'commit');
};

it('a way that is cut for longer than a batch is recognised is no loss (F9, Q9)', async () => {
  const { proxy, counters, client } = await forgetful();
  await create(counters, 'a');
  const epoch = await client.getBuffer('{tg}e');
  proxy.cut();
  expect((await timed(() => reserve(counters, 'away'))).result).toBe('quota_unavailable');
  await pass(recordMs + 500);
  proxy.restore();
  await answers(counters);
  expect(await client.getBuffer('{tg}e')).toEqual(epoch);
  expect(await read(counters)).toMatchObject({ committed: 6 });
});

it('nor is a process that had nothing to ask for so long (F9, Q9)', async () => {
  const { counters, client } = await forgetful();
  await create(counters, 'a');
  const epoch = await client.getBuffer('{tg}e');
  await pass(recordMs + 500);
  expect(await read(counters)).toMatchObject({ committed: 6 });
  expect(await client.getBuffer('{tg}e')).toEqual(epoch);
});

it('a batch whose answer was lost is not run again once it would not be recognised (F13, Q4)', async () => {
  const { redis, proxy, counters } = await forgetful();
  const direct = store({ url: redis.url });
  proxy.dropReplies(true);
  const adjustments = [{ ...DEVICES, amount: 2, change: 'refunded', forgetAt: null }] as const;
  expect((await timed(() => counters.adjust({ org: 'acme', adjustments }))).result).toBe('quota_unavailable');
  proxy.cut();
  expect(await read(direct)).toMatchObject({ committed: 3 });
  await pass(recordMs + 500);
  proxy.restore();
  await answers(counters);
  expect(await read(counters)).toMatchObject({ committed: 3 });
});

it('settles that were made in an outage arrive, however long it lasts (F9, Q4)', async () => {
  const { proxy, counters } = await forgetful();
  for (const id of ['a', 'b']) await reserve(counters, id);
  proxy.cut();
  expect((await timed(() => read(counters))).result).toBe('quota_unavailable');
  for (const id of ['a', 'b'])
    expect((await timed(() => settle(counters, id, 'commit'))).result).toBe('quota_unavailable');
  await pass(3 * recordMs);
  proxy.restore();
  await answers(counters);
  expect(await read(counters)).toMatchObject({ committed: 7, held: 0 });
});

it('what was reserved before a loss and is heard of after it is made known again (F10, Q5)', async () => {
  const redis = await server();
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const client = clientWhoseCalls(redis, async (send, values) => {
    const reply = await send();
    if (values.some((value) => String(value).includes('"r-0"'))) await held;
    return reply;
  });
  const counters = store({ client });
  const other = store({ url: redis.url });
  await count(counters, 0);
  await read(other);
  const reserving = Promise.all(Array.from({ length: 5 }, (_, index) => reserve(counters, `r-${index}`)));
  await waitUntil('it was run', async () => (await read(other))?.held === 5);
  // Epochs are told from each other by the second in which they begin.
  await pass(1_000);
  await plain(redis).flushall();
  const reads = await Promise.all(Array.from({ length: 5 }, () => read(counters)));
  expect(reads).toEqual(Array(5).fill(null));
  release();
  expect((await reserving).map(({ outcome }) => outcome)).toEqual(Array(5).fill('reserved'));
  await waitUntil('they are known again', async () => (await plainLeases(redis)) === 5);
  await count(other, 0);
  expect(await read(other)).toMatchObject({ committed: 0, held: 5 });
});

async function plainLeases(redis: Parameters<typeof plain>[0]): Promise<number> {
  return Math.max(0, (await plain(redis).hlen('{tg}:acme|l')) - 1);
}

it('a reply that is none of a batch is not taken for one: the batch is told again', async () => {
  const redis = await server();
  const strange = [null, Buffer.alloc(0), Buffer.from('OK'), 7];
  const client = clientWhoseCalls(redis, async (send, values) => {
    const isReserve = values.some((value) => String(value).includes('"r"'));
    return isReserve && strange.length > 0 ? strange.shift() : await send();
  });
  const counters = store({ client });
  await count(counters, 0);
  expect(await reserve(counters, 'r')).toMatchObject({ outcome: 'reserved' });
  expect(strange).toEqual([]);
});

it('a reservation that lapsed before a recount began is told from one that lapsed after it (F7, Q1, Q8)', async () => {
  const redis = await server();
  for (let round = 0; round < 12; round += 1) {
    const names = { early: `a${round}x`, late: `b${round * 7}y` };
    let now = Date.now();
    const counters = openRedisCounterStore(
      { url: redis.url, prefix: `r${round}`, gatherMs: 0, timeoutMs: 2_000, logger: silent },
      { clock: () => now },
    );
    endings.push(() => counters.close());
    await count(counters, 0);
    now += 10;
    await reserve(counters, names.early, { leaseMs: 1_000 });
    await reserve(counters, names.late, { leaseMs: 2_000 });
    now += 1_500;
    const tokens = await counters.beginRecount({ org: 'acme', counters: [DEVICES] });
    now += 1_000;
    const counts = tokens.map((token) => ({ ...token, count: 0, forgetAt: null }));
    await counters.finishRecount({ org: 'acme', counts });
    expect(await read(counters)).toMatchObject({ committed: 0, uncertain: 1 });
    await settle(counters, names.early, 'commit');
    expect(await read(counters)).toMatchObject({ committed: 0, uncertain: 2 });
    const charges = [charge({ limit: 2 })];
    expect(await reserve(counters, 'third', { charges })).toMatchObject({ outcome: 'denied' });
  }
});

it.each(['uncertain', 'release', 'commit'] as const)(
  'leases that ran out are looked through once, whoever asks: %s',
  async (onUnknown) => {
    const redis = await server();
    const client = plain(redis);
    let now = Date.now();
    const counters = openRedisCounterStore(
      { url: redis.url, gatherMs: 0, logger: silent },
      { clock: () => now },
    );
    endings.push(() => counters.close());
    await count(counters, 0);
    const charges = [charge({ limit: 20, onUnknown })];
    for (let made = 0; made < 20; made += 1)
      await reserve(counters, `l-${made}`, { charges, leaseMs: 1_000 });
    now += 2_000;
    await client.config('RESETSTAT');
    const denied = [charge({ limit: 0, onUnknown })];
    for (let asked = 0; asked < 3; asked += 1) {
      expect(await reserve(counters, 'no', { charges: denied })).toMatchObject({ outcome: 'denied' });
      await read(counters);
    }
    expect(/cmdstat_hgetall:calls=(\d+)/.exec(await client.info('commandstats'))?.[1]).toBe('1');
  },
);

it('what a process leaves behind to recognise its batches ends by itself (F13)', async () => {
  const { client, counters } = await forgetful();
  await create(counters, 'a');
  const records = await client.keys('{tg}b:*');
  expect(records.length).toBeGreaterThan(0);
  await waitUntil('they are gone', async () => (await client.exists(...records)) === 0);
});

it('a copy of a batch that comes after a later one is refused, and changes nothing (F13, Q3)', async () => {
  const redis = await server();
  const copies: (() => Promise<unknown>)[] = [];
  const client = clientWhoseCalls(redis, async (send, values) => {
    if (values.some((value) => String(value).includes(`,0,${OPERATION.adjust},`))) copies.push(send);
    return await send();
  });
  const counters = store({ client });
  await count(counters, 5);
  const adjustments = [{ ...DEVICES, amount: 2, change: 'refunded', forgetAt: null }] as const;
  await counters.adjust({ org: 'acme', adjustments });
  expect(await read(counters)).toMatchObject({ committed: 3 });
  await expect(copies.at(-1)?.()).rejects.toThrow('STALEBATCH');
  expect(await read(counters)).toMatchObject({ committed: 3 });
});

it('counts of an earlier epoch do not pass for those of the present one, however long nothing was asked (F16, Q9)', async () => {
  const { client, counters } = await forgetful();
  const earlier = await Promise.all(
    ['{tg}e', '{tg}:acme'].map(async (key) => [key, await client.dumpBuffer(key)] as const),
  );
  await client.flushall();
  expect(await read(counters)).toBeNull();
  await count(counters, 9);
  await waitUntil('no record is left', async () => (await client.keys('{tg}b:*')).length === 0);
  for (const [key, dump] of earlier) await client.restore(key, 0, dump, 'REPLACE');
  expect(await read(counters)).toBeNull();
});
