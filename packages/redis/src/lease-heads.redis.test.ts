import { describe, expect, it } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { charge, count, read, reservation, reserve, settle, timed } from './faults.test-support.ts';
import { endings, plain, server, store } from './outage-scene.test-support.ts';
import { testedStore } from './redis-host.test-support.ts';

const LEASES = '{tg}:acme|l';

async function scene() {
  const redis = await server();
  const client = plain(redis);
  const counters = store({ url: redis.url });
  await count(counters, 0);
  return { client, counters };
}

/** msgpack, the last value of a head. */
const withMostLive = (head: Buffer | null, live: number) =>
  Buffer.concat([(head ?? Buffer.alloc(1)).subarray(0, -1), Buffer.from([live])]);

describe('the head of an org with live reservations', () => {
  it('harms nobody else when it lacks something: its org alone is refused, and what others did stands', async () => {
    const { client, counters } = await scene();
    const others = ['before', 'behind'];
    for (const org of others) await count(counters, 0, org);
    for (const org of ['acme', ...others]) await reserve(counters, 'a1', { org });
    const head = await client.hgetBuffer(LEASES, '');
    await client.hset(LEASES, '', (head ?? Buffer.alloc(1)).subarray(0, -1));
    const commits = ['before', 'acme', 'behind'].map((org) =>
      timed(() => settle(counters, 'a1', 'commit', { org })),
    );
    const results = (await Promise.all(commits)).map(({ result }) => result);
    const settled = { outcome: 'settled', late: false, overLimit: false };
    expect(results).toEqual([settled, 'quota_unavailable', settled]);
    for (const org of others) expect(await read(counters, org)).toMatchObject({ committed: 1, held: 0 });
  });

  it('is kept as long as counters may count what its leases held: they are not lost in silence (Q5, Q9)', async () => {
    const client = plain(await server());
    const counters = testedStore(client);
    endings.push(() => counters.close());
    const { clock } = counters;
    const monthMs = 31 * 86_400_000;
    const counter = { key: 'opens', window: 'month:2026-04' };
    const forgetAt = clock.now() + monthMs + 2 * 86_400_000;
    const tokens = await counters.beginRecount({ org: 'acme', counters: [counter] });
    const counts = tokens.map((token) => ({ ...token, count: 7, forgetAt }));
    await counters.finishRecount({ org: 'acme', counts });
    await reserve(counters, 'a1', { charges: [charge({ ...counter, onUnknown: 'commit', forgetAt })] });
    clock.advance(monthMs);
    for (const key of await client.keys('*')) {
      const leftMs = await client.pttl(key);
      if (leftMs >= 0) await client.pexpire(key, Math.max(0, leftMs - monthMs));
    }
    const [reading] = await counters.read({ org: 'acme', counters: [counter] });
    expect(reading).toMatchObject({ committed: 8, held: 0, uncertain: 0 });
    expect(await client.exists(`{${counters.options.prefix}}:acme|l`)).toBe(0);
  });

  it('deletes no reservation that it does not know of', async () => {
    const { client, counters } = await scene();
    for (const id of ['a1', 'a2', 'a3']) await reserve(counters, id);
    await client.hset(LEASES, '', withMostLive(await client.hgetBuffer(LEASES, ''), 1));
    await settle(counters, 'a1', 'commit');
    expect((await client.hkeys(LEASES)).sort()).toEqual(['', 'a2', 'a3']);
  });

  it('learns how few there are when they had to be counted', async () => {
    const { client, counters } = await scene();
    for (const id of ['a1', 'a2', 'a3']) await reserve(counters, id);
    for (const id of ['a1', 'a2']) await settle(counters, id, 'commit');
    const head = await client.hgetBuffer(LEASES, '');
    expect(head?.at(-1)).toBe(1);
  });

  it('is of a foreign type: its org alone is refused, however much is asked of it at once (F19)', async () => {
    const { client, counters } = await scene();
    await count(counters, 0, 'behind');
    const all = [
      { org: 'acme', id: 'a1' },
      { org: 'acme', id: 'a2' },
      { org: 'behind', id: 'a1' },
    ];
    for (const { org, id } of all) await reserve(counters, id, { org });
    await client.del(LEASES);
    await client.set(LEASES, 'foreign');
    const commits = all.map(({ org, id }) => timed(() => settle(counters, id, 'commit', { org })));
    const results = (await Promise.all(commits)).map(({ result }) => result);
    const settled = { outcome: 'settled', late: false, overLimit: false };
    expect(results).toEqual(['quota_unavailable', 'quota_unavailable', settled]);
    await client.del(LEASES);
  });

  it('knows what is made known again although it was not lost', async () => {
    const { counters } = await scene();
    await reserve(counters, 'a1');
    // What this process holds is told again with the first count of any counter of the org.
    await counters.beginRecount({ org: 'acme', counters: [{ key: 'seats', window: 'lifetime' }] });
    expect(await read(counters)).toMatchObject({ committed: 0, held: 1 });
    await settle(counters, 'a1', 'commit');
    expect(await read(counters)).toMatchObject({ committed: 1, held: 0, uncertain: 0 });
  });

  it('counts a renewal as no other reservation', async () => {
    const { counters } = await scene();
    const leases = ['a1', 'a2'].map((id) => ({ org: 'acme', id }));
    for (const { id } of leases) await reserve(counters, id);
    const [, third] = await Promise.all([
      counters.renew({ leases, leaseMs: 60_000 }),
      counters.reserve({ ...reservation('a3'), leaseMs: 30_000, maxHeld: 3 }),
    ]);
    expect(third).toMatchObject({ outcome: 'reserved' });
  });

  it('is another one after its loss: what was held before is not known any more', async () => {
    const { client, counters } = await scene();
    const seats = { key: 'seats', window: 'lifetime' };
    const tokens = await counters.beginRecount({ org: 'acme', counters: [seats] });
    const counts = tokens.map((token) => ({ ...token, count: 0, forgetAt: null }));
    await counters.finishRecount({ org: 'acme', counts });
    await reserve(counters, 'a1');
    await client.del(LEASES);
    const other = await reserve(counters, 's1', { charges: [charge({ key: 'seats' })] });
    expect(other).toMatchObject({ outcome: 'reserved' });
    expect(await read(counters)).toBeNull();
  });
});

describe('leases that are made with others', () => {
  it('end at a time of their own batch', async () => {
    const { client, counters } = await scene();
    const nowMs = async () => {
      const [seconds, micros] = await client.time();
      return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
    };
    for (const id of ['a1', 'a2']) await reserve(counters, id);
    const between = (await nowMs()) + 5;
    await waitUntil('Redis is five milliseconds later', async () => (await nowMs()) >= between);
    await reserve(counters, 'a3', { leaseMs: 30_000 });
    const lease = await client.hgetBuffer(LEASES, 'a3');
    expect(Number(lease?.readBigUInt64BE(1))).toBeGreaterThanOrEqual(between + 30_000);
  });

  it("keep their own org's stamp", async () => {
    const { client, counters } = await scene();
    await count(counters, 0, 'other');
    await Promise.all(['acme', 'other'].map((org) => reserve(counters, 'a1', { org })));
    for (const org of ['acme', 'other']) {
      const lease = await client.hgetBuffer(`{tg}:${org}|l`, 'a1');
      const counter = await client.hgetBuffer(`{tg}:${org}`, 'devices');
      expect(lease?.subarray(-9).toString('hex')).toBe(counter?.subarray(1, 10).toString('hex'));
    }
  });
});

it('a count of a window that was begun and never finished is kept for a time (T17)', async () => {
  const { client, counters } = await scene();
  await counters.beginRecount({ org: 'acme', counters: [{ key: 'calls', window: 'session:1' }] });
  const leftMs = await client.pttl('{tg}:acme:session:1');
  expect([leftMs > 600_000, leftMs < 700_000]).toEqual([true, true]);
});

it('counters that are kept for good have no end, also where another one beside them is begun (Q9)', async () => {
  const { client, counters } = await scene();
  expect(await client.pttl('{tg}:acme')).toBe(-1);
  await counters.beginRecount({ org: 'acme', counters: [{ key: 'seats', window: 'lifetime' }] });
  expect(await client.pttl('{tg}:acme')).toBe(-1);
});

it('a begun count is waited for ten minutes after the last begin (Q8)', async () => {
  const counters = testedStore(plain(await server()));
  endings.push(() => counters.close());
  const begin = (...keys: readonly string[]) =>
    counters.beginRecount({ org: 'acme', counters: keys.map((key) => ({ key, window: 'lifetime' })) });
  const [, zones] = await begin('seats', 'zones');
  counters.clock.advance(400_000);
  const [seats] = await begin('seats');
  counters.clock.advance(400_000);
  const counts = [seats, zones].flatMap((token) => (token ? [{ ...token, count: 3, forgetAt: null }] : []));
  const results = await counters.finishRecount({ org: 'acme', counts });
  expect(results.map(({ key, applied }) => [key, applied])).toEqual([
    ['seats', true],
    ['zones', false],
  ]);
});

it('what is made known again after a loss ends with its lease, and leaves nothing for good (Q5, T17)', async () => {
  const client = plain(await server());
  const counters = testedStore(client);
  endings.push(() => counters.close());
  await count(counters, 0);
  await reserve(counters, 'a1', { leaseMs: 30_000 });
  await client.flushall();
  await count(counters, 0);
  expect(await read(counters)).toMatchObject({ held: 1, uncertain: 0 });
  expect(await client.pttl(`{${counters.options.prefix}}:acme|l`)).toBeGreaterThan(0);
  counters.clock.advance(30_000);
  expect(await read(counters)).toMatchObject({ held: 0, uncertain: 1 });
});
