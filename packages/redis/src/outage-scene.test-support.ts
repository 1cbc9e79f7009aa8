import type { CounterStore } from '@tollgate/core';
import { Redis } from 'ioredis';
import { afterEach, expect } from 'vitest';
import {
  type RedisOptions,
  type RedisServer,
  startRedis,
  type TcpProxy,
  tcpProxy,
  waitUntil,
} from '../../../test/support/services.ts';
import { charge, openStore, read, reserve, settle, timed } from './faults.test-support.ts';
import type { RedisCounterStoreOptions } from './options.ts';

/** Stops what a test started; called after it, last first. */
export const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

export async function server(options: RedisOptions = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  endings.push(() => redis.stop());
  return redis;
}

export async function proxied(redis: RedisServer): Promise<TcpProxy & { readonly url: string }> {
  const proxy = await tcpProxy(redis.port);
  endings.push(() => proxy.close());
  return Object.assign(proxy, { url: `redis://127.0.0.1:${proxy.port}` });
}

export function store(options: RedisCounterStoreOptions): CounterStore {
  // A long time-out where that is not the point: a loaded machine stalls now and then.
  const opened = openStore({ timeoutMs: 2_000, ...options });
  endings.push(() => opened.close());
  return opened;
}

export function plain(redis: RedisServer): Redis {
  const client = new Redis(redis.url);
  client.on('error', () => {});
  endings.push(() => client.disconnect());
  return client;
}

/** A host's client whose duplicates, the stores' own connections, hand each call to `pass`, which sends it at once, later or never. */
export function clientWhoseCalls(
  redis: RedisServer,
  pass: (send: () => Promise<unknown>, values: readonly unknown[]) => Promise<unknown>,
): Redis {
  class Injured extends Redis {
    override duplicate(...args: Parameters<Redis['duplicate']>) {
      const own = super.duplicate(...args);
      const call = own.callBuffer.bind(own) as (...values: unknown[]) => Promise<unknown>;
      own.callBuffer = ((...values: unknown[]) =>
        pass(() => call(...values), values.flat())) as typeof own.callBuffer;
      return own;
    }
  }
  const client = new Injured(redis.url);
  client.on('error', () => {});
  endings.push(() => client.disconnect());
  return client;
}

/** Makes creates one after the other, each of which must be admitted. */
export async function create(counters: CounterStore, times: number): Promise<void> {
  const charges = [charge({ limit: null })];
  for (let made = 0; made < times; made += 1) {
    expect(await reserve(counters, `r-${made}`, { charges })).toMatchObject({ outcome: 'reserved' });
    await settle(counters, `r-${made}`, 'commit', { charges });
  }
}

export const answers = (one: CounterStore) =>
  waitUntil('the store answers', async () => (await timed(() => read(one))).result !== 'quota_unavailable');
