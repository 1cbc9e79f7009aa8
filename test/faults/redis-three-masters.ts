import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster, Redis } from 'ioredis';
import { type RedisServer, startRedis, startRedisCluster, waitUntil } from '../support/services.ts';
import { errorsOf, keysOfOrg } from './redis-servers.ts';

/** A Redis Cluster of three masters without replicas, to be injured and healed again. */
export interface ThreeMasters {
  /** What a host gives to the counter store. */
  readonly client: Cluster;
  /** On which master the counts of an org are, and in which slot. */
  placeOf(org: string): Promise<{ readonly master: number; readonly slot: number }>;
  /** Answers of one kind of error, of all masters since they started. */
  errorsSaid(name: string): Promise<number>;
  /**
   * Moves a slot as an operator's tool does, key by key; `meanwhile` is awaited before each and told how many are left.
   *
   * @param last - keys with this in their names are moved after all others
   */
  moveSlot(
    slot: number,
    from: number,
    to: number,
    meanwhile: (left: number) => Promise<unknown>,
    last?: string,
  ): Promise<void>;
  /** An operator's console at a master. */
  consoleOf(master: number): Redis;
  signal(master: number, signal: 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  kill(master: number): Promise<void>;
  /** Starts a killed master anew, with its slots: with its data if it wrote them to a file, unless it is to be `empty`. */
  restart(master: number, how?: 'empty'): Promise<void>;
  /** Sets an option of the masters that live; answers how many do. */
  configure(name: string, value: string): Promise<number>;
  stop(): Promise<void>;
}

const NODE_TIMEOUT = ['--cluster-node-timeout', '1000'];

/** @param options - more arguments of each server */
export async function threeMasters(options: readonly string[] = []): Promise<ThreeMasters> {
  const args = [...NODE_TIMEOUT, ...options];
  const cluster = await startRedisCluster(3, args);
  const nodes: RedisServer[] = [...cluster.nodes];
  const client = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })));
  client.on('error', () => {});
  const consoles = nodes.map(({ url }) => {
    // Of a dead master nothing is asked, instead of later.
    const one = new Redis(url, {
      lazyConnect: true,
      enableReadyCheck: false,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => 20,
    });
    one.on('error', () => {});
    return one;
  });
  await Promise.all(consoles.map((one) => one.connect()));
  const consoleOf = (master: number) => consoles[master] as Redis;

  return {
    client,
    async placeOf(org) {
      for (const [master, one] of consoles.entries()) {
        const [key] = await keysOfOrg(one, org);
        if (key !== undefined) return { master, slot: Number(await one.call('CLUSTER', 'KEYSLOT', key)) };
      }
      throw new Error(`No master has counts of ${org}.`);
    },
    async errorsSaid(name) {
      const counts = await Promise.all(consoles.map((one) => errorsOf(one, name).catch(() => 0)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    async moveSlot(slot, from, to, meanwhile, last) {
      const [source, target] = [consoleOf(from), consoleOf(to)];
      const sourceId = String(await source.call('CLUSTER', 'MYID'));
      const targetId = String(await target.call('CLUSTER', 'MYID'));
      await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
      await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
      for (;;) {
        const keys = (await source.call('CLUSTER', 'GETKEYSINSLOT', slot, 1_000)) as string[];
        await meanwhile(keys.length);
        const key = keys.find((one) => last === undefined || !one.includes(last)) ?? keys[0];
        if (key === undefined) break;
        await source.call('MIGRATE', '127.0.0.1', Number(nodes[to]?.port), key, 0, 5_000);
      }
      for (const one of [target, source, ...consoles]) {
        await one.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
      }
    },
    consoleOf,
    signal: async (master, signal) => await nodes[master]?.kill(signal),
    kill: async (master) => await nodes[master]?.kill('SIGKILL'),
    async restart(master, how) {
      const { port, dir } = nodes[master] as RedisServer;
      if (how === 'empty') rmSync(join(dir, 'appendonlydir'), { recursive: true, force: true });
      nodes[master] = await startRedis({ port, dir, args: ['--cluster-enabled', 'yes', ...args] });
      await waitUntil('every master sees the whole cluster', async () => {
        const states = await Promise.all(consoles.map((one) => one.call('CLUSTER', 'INFO')));
        return states.every((state) => String(state).includes('cluster_state:ok'));
      });
    },
    async configure(name, value) {
      const answers = await Promise.allSettled(consoles.map((one) => one.config('SET', name, value)));
      return answers.filter(({ status }) => status === 'fulfilled').length;
    },
    async stop() {
      client.disconnect();
      for (const one of consoles) one.disconnect();
      await Promise.all(nodes.map((node) => node.stop()));
      await cluster.stop();
    },
  };
}
