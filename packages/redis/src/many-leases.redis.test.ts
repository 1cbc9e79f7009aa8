import { Redis } from 'ioredis';
import { afterAll, expect, inject, it } from 'vitest';
import { count, read } from './faults.test-support.ts';
import { testedStore } from './redis-host.test-support.ts';

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
