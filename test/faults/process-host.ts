import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Billing, type CounterStore, capacity, createBilling, metered } from '@tollgate/core';
import { redisCounterStore } from '@tollgate/redis';
import { Redis } from 'ioredis';
import { type Create, type Framework, listeners } from './process-frameworks.ts';

/** Points of a guarded create: before its reserve is sent, its handler runs, its row is written, before its settle is told, its settle was acknowledged. */
export type Stage = 'asked' | 'running' | 'written' | 'answered' | 'settled';

export interface HostSettings {
  readonly framework: Framework;
  /** Where the counters are; may lead through a proxy. */
  readonly countersUrl: string;
  /** Where the host's rows are, which no process of the host takes along when it dies. */
  readonly rowsUrl: string;
  /** Devices, and scans a day, that an org may have. */
  readonly limit: number;
  readonly leaseMs: number;
}

/** What happens inside a host, for whoever watches it. */
export interface HostHooks {
  /** A create goes on once this has resolved. */
  reached?(stage: Stage, org: string): Promise<void>;
  /** A client closed its connection before it was answered. */
  clientGone?(org: string): void;
  /** The engine counted something. */
  counted?(metric: string, value: number): void;
}

/** One process of a host: a guarded `POST /devices`, which writes rows, and a guarded `POST /scans`, which writes none, on a real server. The header `x-org` names the org, `x-answer` the status. */
export interface Host {
  readonly url: string;
  readonly billing: Billing;
  readonly counters: CounterStore;
  /** Stops listening and closes the engine when the last request has ended, or has been cut off after the grace. */
  close(graceMs: number): Promise<void>;
}

/** A host's own name for its keys in Redis: hosts on different frameworks have nothing in common. */
const nameOf = (framework: Framework) => framework.replace(' ', '-');

/** The list in Redis that stands for a table of the host's: one item a row. */
export const rowsOf = (framework: Framework, org: string) => `rows:${nameOf(framework)}:${org}`;

export async function serveHost(settings: HostSettings, hooks: HostHooks = {}): Promise<Host> {
  const { framework, countersUrl, rowsUrl, limit, leaseMs } = settings;
  const rows = new Redis(rowsUrl);
  const store = redisCounterStore({ url: countersUrl, prefix: nameOf(framework), timeoutMs: 10_000 });
  const counters = watched(store, hooks);
  const billing = createBilling({
    quotas: { devices: capacity(), scans: metered({ periods: ['day'] }) },
    tiers: [
      {
        slug: 'free',
        name: 'Free',
        isDefaultForPersonal: true,
        sortOrder: 1,
        limits: { devices: limit, scans: { day: limit } },
      },
    ],
    inventory: {
      count: ({ org }) => rows.llen(rowsOf(framework, org)),
      async *list() {},
      find: async () => null,
    },
    access: () => null,
    provider: null,
    org: (request) => request.header('x-org'),
    counters,
    leaseMs,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    telemetry: { count: (metric, value) => hooks.counted?.(metric, value) },
  }) as Billing;

  const create: Create = async (request, response) => {
    const org = String(request.headers['x-org']);
    response.once('close', () => response.writableEnded || hooks.clientGone?.(org));
    await hooks.reached?.('running', org);
    const status = Number(request.headers['x-answer'] ?? 201);
    if (status < 400 && request.url === '/devices')
      await rows.rpush(rowsOf(framework, org), `${process.pid}`);
    await hooks.reached?.('written', org);
    // Nobody needs to wait for a client that keeps its connection for a next request.
    if (!server.listening) response.setHeader('Connection', 'close');
    return status;
  };
  const server = createServer(listeners[framework](billing, create));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // From here on nothing of the start is on its way to Redis.
  await counters.read({ org: 'nobody', counters: [{ key: 'devices', window: 'lifetime' }] });
  await rows.ping();

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    billing,
    counters,
    async close(graceMs) {
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      const impatience = setTimeout(() => server.closeAllConnections(), graceMs);
      await ended;
      clearTimeout(impatience);
      await billing.close();
      rows.disconnect();
    },
  };
}

/** The same store, which tells of a reserve before it is sent and of a settle after it was acknowledged. */
function watched(store: CounterStore, { reached }: HostHooks): CounterStore {
  return {
    ...store,
    async reserve(request) {
      await reached?.('asked', request.org);
      return await store.reserve(request);
    },
    async settleUnawaited(reservation, as, listener) {
      await reached?.('answered', reservation.org);
      store.settleUnawaited?.(reservation, as, {
        async settled(outcome) {
          await reached?.('settled', reservation.org);
          listener.settled(outcome);
        },
        failed: (error) => listener.failed(error),
      });
    },
  };
}
