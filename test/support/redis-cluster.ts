import { Redis } from 'ioredis';
import { freePort, isPortFree } from './free-port.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { waitUntil } from './wait-until.ts';

export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

const slotCount = 16_384;
const busOffset = 10_000;

/** A free port whose cluster bus port is free as well. */
async function freeClusterPort(taken: ReadonlySet<number>): Promise<number> {
  return waitUntil('a pair of ports is free', async () => {
    const port = await freePort();
    const bus = port + busOffset;
    return bus < 65_536 && !taken.has(port) && !taken.has(bus) && (await isPortFree(bus)) && port;
  });
}

async function startNodes(count: number, args: readonly string[]): Promise<RedisServer[]> {
  const ports = new Set<number>();
  const buses = new Set<number>();
  while (ports.size < count) {
    const port = await freeClusterPort(new Set([...ports, ...buses]));
    ports.add(port);
    buses.add(port + busOffset);
  }
  const clusterArgs = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', ...args];
  const results = await Promise.allSettled([...ports].map((port) => startRedis({ port, args: clusterArgs })));
  const failure = results.find((result) => result.status === 'rejected');
  const nodes = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  if (failure === undefined) return nodes;
  await Promise.all(nodes.map((node) => node.stop()));
  throw failure.reason;
}

/** Distributes the slots evenly, introduces the nodes to each other, and waits until all of them agree. */
async function join(nodes: readonly RedisServer[]): Promise<void> {
  const clients = nodes.map(({ port }) => new Redis(port, '127.0.0.1', { commandTimeout: 5_000 }));
  for (const client of clients) client.on('error', () => {});
  try {
    await Promise.all(
      clients.map(async (client, index) => {
        const from = Math.ceil((index * slotCount) / nodes.length);
        const to = Math.ceil(((index + 1) * slotCount) / nodes.length);
        const slots = Array.from({ length: to - from }, (_, offset) => from + offset);
        await client.call('CLUSTER', 'SET-CONFIG-EPOCH', `${index + 1}`);
        await client.call('CLUSTER', 'ADDSLOTS', ...slots.map(String));
      }),
    );
    for (const node of nodes.slice(1)) {
      await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', `${node.port}`);
    }
    await waitUntil(
      'every node of the Redis cluster sees the whole cluster',
      async () => {
        const states = await Promise.all(clients.map((client) => client.call('CLUSTER', 'INFO')));
        return states.every((state) => {
          const text = String(state);
          return text.includes('cluster_state:ok') && text.includes(`cluster_known_nodes:${nodes.length}\r`);
        });
      },
      { timeoutMs: 30_000, everyMs: 50 },
    );
  } finally {
    for (const client of clients) client.disconnect();
  }
}

/** Starts a Redis Cluster of `count` masters on loopback and resolves once every node reports `cluster_state:ok`. */
export async function startRedisCluster(count = 3, args: readonly string[] = []): Promise<RedisCluster> {
  const nodes = await startNodes(count, args);
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    await join(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, stop };
}
