import type { CounterStore } from '@tollgate/core';
import { type CounterStoreHost, type FakeClock, fakeClock } from '@tollgate/testing';
import { Cluster, type Redis } from 'ioredis';
import { spellKeys } from './keys.ts';
import { NumberReader } from './number-reader.ts';
import type { RedisCounterStoreOptions } from './options.ts';
import { openRedisCounterStore } from './redis-counter-store.ts';

export interface TestedStore extends CounterStore {
  readonly clock: FakeClock;
  readonly options: RedisCounterStoreOptions;
  readonly peers: CounterStore[];
}

let made = 0;

export function testedStore(client: Redis | Cluster, lapsedKeepMs = 600_000): TestedStore {
  made += 1;
  const clock = fakeClock();
  const options = { client, prefix: `t${process.pid}.${made}.`, gatherMs: 0, timeoutMs: 5_000, lapsedKeepMs };
  return { ...openRedisCounterStore(options, { clock: clock.now }), clock, options, peers: [] };
}

/** All keys under a store's prefix, on every master. */
export async function keysOf(client: Redis | Cluster, prefix: string): Promise<readonly string[]> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  const lists = await Promise.all(nodes.map((node) => node.keys(`{${prefix}*`)));
  return lists.flat();
}

/** The numbers of a stored counter, as scripts/counters.ts lists them; nil is null. */
export function counterNumbers(bytes: Buffer): readonly (number | null)[] {
  const numbers: (number | null)[] = [];
  let at = 0;
  while (at < bytes.length) {
    const type = bytes[at] ?? 0;
    if (type === 0xc0) {
      numbers.push(null);
      at += 1;
      continue;
    }
    const width = ({ 204: 2, 205: 3, 206: 5, 207: 9 } as Record<number, number>)[type] ?? 1;
    numbers.push(new NumberReader(bytes, at).next());
    at += width;
  }
  return numbers;
}

/** Reads what is stored with plain commands. */
export function redisHost(
  name: string,
  clientOf: () => Redis | Cluster,
  outage: CounterStoreHost<TestedStore>['outage'],
): CounterStoreHost<TestedStore> {
  const nameOf = (key: string) => /^\{[^}]*\}:([^:|]+)/.exec(key)?.[1];
  return {
    name,
    create: () => testedStore(clientOf()),
    createPeer(store) {
      const peer = openRedisCounterStore(store.options, { clock: store.clock.now });
      store.peers.push(peer);
      return peer;
    },
    inspect: {
      async counter(store, { org, key, window }) {
        const client = clientOf();
        const keys = spellKeys({
          prefix: store.options.prefix ?? '',
          hashTags: client instanceof Cluster ? 6 : 1,
        });
        const bytes = await client.hgetBuffer(keys.org(org).counters(window), key);
        if (bytes === null) return null;
        const [committed, , , , , uncertain, held, , forgetAt, , , markEnds] = counterNumbers(bytes);
        if (markEnds != null || (forgetAt != null && forgetAt <= store.clock.now())) return null;
        return { committed: committed ?? 0, uncertain: uncertain ?? 0, held: held ?? 0 };
      },
      async orgs(store) {
        const keys = await keysOf(clientOf(), store.options.prefix ?? '');
        return [...new Set(keys.flatMap((key) => nameOf(key) ?? []))];
      },
      async records(store) {
        const client = clientOf();
        const keys = await keysOf(client, store.options.prefix ?? '');
        let count = keys.filter((key) => /\|[ia]:/.test(key)).length;
        for (const key of keys.filter((one) => one.endsWith('|l'))) count += (await client.hlen(key)) - 1;
        return count;
      },
    },
    clock: {
      now: (store) => store.clock.now(),
      advance: (store, ms) => store.clock.advance(ms),
    },
    timing: { leaseMs: 30_000, rememberMs: 86_400_000, lapsedKeepMs: 600_000, slackMs: 0 },
    async teardown(store) {
      for (const peer of store.peers) await peer.close();
      await store.close();
    },
    outage,
  };
}
