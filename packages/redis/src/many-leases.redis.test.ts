import { Redis } from 'ioredis';
import { afterAll, expect, inject, it } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { charge, count, read } from './faults.test-support.ts';
import { keysOf, testedStore } from './redis-host.test-support.ts';

const client = new Redis(inject('redisUrl'));
afterAll(() => client.disconnect());

it('lets thousands of leases run out at once', async () => {
  const store = testedStore(client);
  await count(store, 0);
  const charges = [
    { key: 'devices', window: 'lifetime', amount: 1, limit: null, onUnknown: 'uncertain', forgetAt: null },
  ] as const;
  const reserve = (id: string) =>
    store.reserve({ org: 'acme', id, charges, rememberMs: 0, leaseMs: 1_000, maxHeld: 100_000 });
  for (let first = 0; first < 9_000; first += 3_000) {
    await Promise.all(Array.from({ length: 3_000 }, (_, index) => reserve(`r${first + index}`)));
  }
  store.clock.advance(2_000);
  expect(await reserve('after')).toMatchObject({ outcome: 'reserved' });
  expect(await read(store)).toMatchObject({ held: 1, uncertain: 9_000 });
  await store.close();
});

it('renews more leases than may wait at once, and creates go on beside it', async () => {
  const store = testedStore(client);
  const orgs = Array.from({ length: 7 }, (_, index) => `org-${index}`);
  for (const org of orgs) await count(store, 0, org);
  const charges = [charge({ limit: null })];
  const ids = Array.from({ length: 1_500 }, (_, index) => `r${index}`);
  const reserve = (org: string, id: string) =>
    store.reserve({ org, id, charges, rememberMs: 0, leaseMs: 1_000, maxHeld: 100_000 });
  for (const org of orgs) await Promise.all(ids.map((id) => reserve(org, id)));
  const renewing = store.renew({
    leases: orgs.flatMap((org) => ids.map((id) => ({ org, id }))),
    leaseMs: 30_000,
  });
  expect(await reserve('org-0', 'beside')).toMatchObject({ outcome: 'reserved' });
  const renewed = await renewing;
  expect([renewed.length, renewed.includes(false)]).toEqual([10_500, false]);
  store.clock.advance(2_000);
  for (const org of orgs)
    expect(await read(store, org)).toMatchObject({ uncertain: org === 'org-0' ? 1 : 0 });
  await store.close();
});

it('makes more reservations known again than may wait at once', async () => {
  const store = testedStore(client);
  const orgs = Array.from({ length: 7 }, (_, index) => `org-${index}`);
  for (const org of orgs) await count(store, 0, org);
  const charges = [charge({ limit: null })];
  for (const org of orgs) {
    const asked = Array.from({ length: 1_500 }, (_, index) =>
      store.reserve({ org, id: `r${index}`, charges, rememberMs: 0, leaseMs: 30_000, maxHeld: 100_000 }),
    );
    await Promise.all(asked);
  }
  for (const key of await keysOf(client, store.options.prefix ?? '')) await client.del(key);
  expect(await read(store, 'org-0')).toBeNull();
  const leases = orgs.map((org) => `{${store.options.prefix}}:${org}|l`);
  await waitUntil('all are known', async () => {
    const sizes = await Promise.all(leases.map((key) => client.hlen(key)));
    return sizes.every((size) => size === 1_501);
  });
  for (const org of orgs) {
    await count(store, 0, org);
    expect(await read(store, org)).toMatchObject({ held: 1_500 });
  }
  await store.close();
});

it('reads thousands of counters when a lease has run out', async () => {
  const store = testedStore(client);
  const refs = Array.from({ length: 4_500 }, (_, index) => ({ key: `k${index}`, window: 'lifetime' }));
  const tokens = await store.beginRecount({ org: 'acme', counters: refs });
  const counts = tokens.map((token) => ({ ...token, count: 0, forgetAt: null }));
  await store.finishRecount({ org: 'acme', counts });
  const charges = [charge({ key: 'k0' })];
  await store.reserve({ org: 'acme', id: 'r', charges, rememberMs: 0, leaseMs: 1_000, maxHeld: 10 });
  store.clock.advance(2_000);
  const readings = await store.read({ org: 'acme', counters: refs });
  expect([readings.length, readings[0]]).toMatchObject([4_500, { held: 0, uncertain: 1 }]);
  await store.close();
});
