import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { startRedis, startRedisCluster } from '../test/support/services.ts';
import { apps, onCluster } from './apps.ts';
import type { LoadOrder, LoadResult } from './load.ts';
import { bytesPerIdleResource } from './memory.ts';
import { type Child, pin, startChild } from './processes.ts';
import { watchServers } from './redis-target.ts';
import { median, table } from './stats.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    seconds: { type: 'string', default: '0.6' },
    connections: { type: 'string', default: '1,50,200' },
    orgs: { type: 'string', default: '100,1' },
    only: { type: 'string', default: 'koa,express' },
    pace: { type: 'string', default: '0' },
    cluster: { type: 'boolean', default: false },
  },
});
const list = (text: string) => text.split(',');
const rounds = Number(values.rounds);
const perSecond = Number(values.pace);
const PEER = 'rate-limiter-flexible';

interface Cell extends LoadResult {
  readonly nodeMicros: number;
  readonly redisMicros: number;
  readonly scripts: number;
  readonly pingMs: number;
}

const started = values.cluster ? (await startRedisCluster()).nodes : [await startRedis()];
const urls = started.map(({ url }) => url);
const redis = watchServers(urls, median);
for (const { pid } of started) pin(pid, 1);
// Pinned to the other core than Redis, so that its pings cross cores as the servers' commands do.
pin(process.pid, 0);
const load = await startChild(['load'], 1);
try {
  for (const framework of list(values.only)) {
    const names = Object.keys(apps[framework] ?? {}).filter((name) => !values.cluster || onCluster.has(name));
    const servers = new Map<string, Child>();
    for (const name of names)
      servers.set(name, await startChild(['server', framework, name, urls.join()], 0));
    // A server is slow until its code is compiled, and more code takes more requests. So the warm-up is by requests, not by time.
    const warmUp = { connections: 50, orgs: 100, warmMs: 0, warmRequests: 20_000, ms: 100 };
    for (const { port } of servers.values()) await load.ask<LoadResult>({ ...warmUp, port });
    for (const orgs of list(values.orgs).map(Number)) {
      for (const connections of list(values.connections).map(Number)) {
        const cells = await measure(servers, connections, orgs);
        console.log(
          `\n### ${framework}${values.cluster ? ' on a Cluster of three' : ''}, ${connections} connections, ${orgs === 1 ? 'one hot org' : `${orgs} orgs`}${perSecond > 0 ? `, ${perSecond} requests a second` : ''}\n`,
        );
        console.log(report(cells));
      }
    }
    for (const server of servers.values()) server.stop();
  }
  if (!values.cluster) await reportBytes(urls[0] ?? '');
} finally {
  load.stop();
  redis.close();
  for (const server of started) await server.stop();
}
process.exit(0);

/** Runs all contenders once per round, each on an empty Redis, and reverses their order every other round. */
async function measure(
  servers: ReadonlyMap<string, Child>,
  connections: number,
  orgs: number,
): Promise<ReadonlyMap<string, readonly Cell[]>> {
  const cells = new Map<string, Cell[]>([...servers.keys()].map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    const order = [...servers];
    if (round % 2 === 1) order.reverse();
    for (const [name, server] of order) cells.get(name)?.push(await run(server, connections, orgs));
  }
  return cells;
}

async function run(server: Child, connections: number, orgs: number): Promise<Cell> {
  await redis.empty();
  // The first requests after a flush recount, which is not what is compared, so they are sent unmeasured.
  const order: LoadOrder = {
    port: server.port,
    connections,
    orgs,
    warmMs: 150,
    ms: Number(values.seconds) * 1_000,
    perSecond,
  };
  await load.ask<LoadResult>({ ...order, warmMs: 0, ms: 100, perSecond: 0 });
  const pingMs = await redis.pingMs();
  await server.ask('cpu');
  const before = await redis.use();
  const result = await load.ask<LoadResult>(order);
  const nodeMicros = (await server.ask<number>('cpu')) / result.sent;
  const after = await redis.use();
  return {
    ...result,
    pingMs,
    nodeMicros,
    redisMicros: (after.micros - before.micros) / result.sent,
    scripts: (after.scripts - before.scripts) / result.sent,
  };
}

async function reportBytes(url: string): Promise<void> {
  const admin = new Redis(url);
  const bytes = await bytesPerIdleResource(url, admin);
  admin.disconnect();
  console.log('\n### Redis bytes for an idle org and resource\n');
  const rows = [...bytes].map(([used, size]) => [`${used}`, size.toFixed(0)]);
  console.log(table(['resources used', 'bytes'], rows));
}

/** Each ratio is taken within a round; the table shows the median over the rounds. */
function report(cells: ReadonlyMap<string, readonly Cell[]>): string {
  const ratio = (name: string, base: string, of: (cell: Cell, other: Cell) => number) => {
    const others = cells.get(base) ?? [];
    return median(
      (cells.get(name) ?? []).flatMap((cell, round) => (others[round] ? [of(cell, others[round])] : [])),
    );
  };
  const middle = (name: string, of: (cell: Cell) => number) => median((cells.get(name) ?? []).map(of));
  const speed = (cell: Cell, other: Cell) => cell.requestsPerSecond / other.requestsPerSecond;
  const rows = [...cells.keys()].map((name) => [
    name,
    ratio(name, 'bare', speed).toFixed(2),
    ratio(name, PEER, speed).toFixed(2),
    middle(name, (cell) => cell.nodeMicros).toFixed(1),
    ratio(name, PEER, (cell, other) => cell.nodeMicros / other.nodeMicros).toFixed(2),
    middle(name, (cell) => cell.redisMicros).toFixed(1),
    middle(name, (cell) => cell.scripts).toFixed(2),
    ratio(name, 'bare', (cell, other) => (cell.p50Ms - other.p50Ms) / cell.pingMs).toFixed(1),
    `${(cells.get(name) ?? []).reduce((sum, cell) => sum + cell.refused, 0)}`,
  ]);
  const head = [
    'guard',
    'req/s / bare',
    `/ ${PEER}`,
    'node µs',
    '/ peer',
    'Redis µs',
    'scripts',
    'p50 added, pings',
    'not 201',
  ];
  return table(head, rows);
}
