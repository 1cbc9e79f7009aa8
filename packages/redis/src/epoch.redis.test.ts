import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { count, read, reserve } from './faults.test-support.ts';
import { create, plain, server, store } from './outage-scene.test-support.ts';

/** Puts everything back as it was when this was called. */
async function snapshot(client: Redis): Promise<() => Promise<void>> {
  const keys = await client.keys('*');
  const dumps = await Promise.all(keys.map(async (key) => [key, await client.dumpBuffer(key)] as const));
  return async () => {
    await client.flushall();
    for (const [key, dump] of dumps) await client.restore(key, 0, dump as Buffer);
  };
}

describe('the epoch of a Redis counter store', () => {
  it('is new once after a loss, however many processes find their writes gone (F10, Q9)', async () => {
    const redis = await server();
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
    for (const one of [second, first]) expect(await read(one)).toMatchObject({ committed: 40, uncertain: 0 });
  });

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

  it('is new when writes of a batch that was acknowledged are missing (F16, Q9)', async () => {
    const redis = await server();
    const client = plain(redis);
    const [first, second] = [store({ url: redis.url }), store({ url: redis.url })];
    await count(first, 0);
    const restore = await snapshot(client);
    await create(first, 3);
    await restore();
    expect(await read(first)).toBeNull();
    await count(first, 3);
    expect(await read(second)).toMatchObject({ committed: 3 });
  });
});
