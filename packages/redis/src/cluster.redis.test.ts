import { counterStoreContract, runCounterStoreHistories } from '@tollgate/testing';
import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RedisCluster, startRedisCluster, waitUntil } from '../../../test/support/services.ts';
import { charge, count, openStore, read, reserve, settle, timed } from './faults.test-support.ts';
import { spellKeys } from './keys.ts';
import { redisHost, testedStore } from './redis-host.test-support.ts';
import { evenTags, slotOf } from './tags.ts';

const RUNS = Number(process.env['TOLLGATE_REDIS_HISTORIES'] ?? 1_000);
let servers: RedisCluster;
let client: Cluster;

beforeAll(async () => {
  servers = await startRedisCluster();
  client = new Cluster(servers.nodes.map(({ port }) => ({ host: '127.0.0.1', port })));
  client.on('error', () => {});
});
afterAll(async () => {
  client.disconnect();
  await servers.stop();
});

counterStoreContract(
  redisHost('a Redis Cluster of three', () => client, { impossibleBecause: 'the other tests need it' }),
);

describe('the Redis counter store on a Redis Cluster', () => {
  it('answers every history as the port says (Q11)', { timeout: 1_200_000 }, () =>
    runCounterStoreHistories({
      runs: RUNS,
      lapsedKeepMs: 20_000,
      create() {
        const store = testedStore(client, 20_000);
        const { clock } = store;
        return { store, now: clock.now, advance: clock.advance, teardown: store.close };
      },
    }),
  );

  it('spreads its hash tags evenly over the slots', () => {
    expect(evenTags('tg', 6).map((tag) => Math.floor((slotOf(tag) * 6) / 16_384))).toEqual([
      0, 1, 2, 3, 4, 5,
    ]);
    expect(slotOf('123456789')).toBe(0x31c3 % 16_384);
  });

  it('keeps counting while a slot is moved: success or unavailable, never another error, and nothing lost (F18, Q1)', {
    timeout: 60_000,
  }, async () => {
    const prefix = 'move';
    const store = openStore({ client, prefix, hashTags: 1, timeoutMs: 500 });
    await count(store, 0);
    const slot = slotOf(prefix);
    const clients = servers.nodes.map(({ port }) => new Redis(port, '127.0.0.1'));
    const ids = await Promise.all(clients.map(async (one) => String(await one.call('CLUSTER', 'MYID'))));
    const from = clients.findIndex((_, index) => Math.floor((slot * 3) / 16_384) === index);
    const to = (from + 1) % 3;
    let isOver = false;
    const outcomes = new Map<string, number>();
    const charges = [charge({ limit: 100_000 })];
    let made = 0;
    const working = (async () => {
      for (let turn = 0; !isOver; turn += 1) {
        const { result } = await timed(() => reserve(store, `r-${turn}`, { charges, leaseMs: 5_000 }));
        const outcome = typeof result === 'string' ? result : result.outcome;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        if (outcome === 'reserved') {
          made += 1;
          await timed(() => settle(store, `r-${turn}`, 'commit', { charges }));
        }
      }
    })();
    const source = clients[from];
    const target = clients[to];
    await target?.call('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', ids[from] ?? '');
    await source?.call('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', ids[to] ?? '');
    for (;;) {
      const keys = (await source?.call('CLUSTER', 'GETKEYSINSLOT', String(slot), '10')) as string[];
      if (keys.length === 0) break;
      for (const key of keys)
        await source?.call('MIGRATE', '127.0.0.1', String(servers.nodes[to]?.port), key, '0', '5000');
    }
    for (const one of clients) await one.call('CLUSTER', 'SETSLOT', String(slot), 'NODE', ids[to] ?? '');
    const before = made;
    await waitUntil('creates are admitted on the new master', () => made > before + 20, {
      timeoutMs: 20_000,
    });
    isOver = true;
    await working;
    expect(
      [...outcomes.keys()].filter(
        (outcome) => !['reserved', 'quota_unavailable', 'unknown'].includes(outcome),
      ),
    ).toEqual([]);
    await waitUntil('nothing is held any more', async () => (await read(store))?.held === 0, {
      timeoutMs: 20_000,
    });
    const reading = await read(store);
    expect((reading?.committed ?? 0) + (reading?.uncertain ?? 0)).toBe(made);
    for (const one of clients) one.disconnect();
    await store.close();
  });

  it('connects anew when a redirection adds a node while all are being dropped (F18)', async () => {
    const opened: Cluster[] = [];
    class Watched extends Cluster {
      override duplicate(...args: Parameters<Cluster['duplicate']>) {
        const made = super.duplicate(...args);
        opened.push(made);
        return made;
      }
    }
    const nodes = servers.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    const host = new Watched(nodes);
    const store = openStore({ client: host, prefix: 'redirected', timeoutMs: 2_000 });
    await count(store, 0);
    const [own] = opened;
    own?.disconnect(true);
    // What the client does with a MOVED it had read already.
    const pool = Reflect.get(own as Cluster, 'connectionPool') as { findOrCreate(node: object): unknown };
    pool.findOrCreate({ ...nodes[0] });
    await waitUntil(
      'the store is served again',
      async () => typeof (await timed(() => read(store))).result !== 'string',
    );
    await store.close();
    host.disconnect();
  });

  it('drops no node that answers with an error while a batch is stuck elsewhere (F18)', async () => {
    const name = 'without-ping';
    for (const node of servers.nodes) {
      const admin = new Redis(node.url);
      await admin.acl('SETUSER', name, 'on', '>secret', '~*', '&*', '+@all', '-ping');
      admin.disconnect();
    }
    let isStuck = false;
    let calls = 0;
    const dropped: string[] = [];
    class Stuck extends Cluster {
      override duplicate(...args: Parameters<Cluster['duplicate']>) {
        const own = super.duplicate(...args);
        const call = own.callBuffer.bind(own) as (...values: unknown[]) => Promise<unknown>;
        own.callBuffer = ((...values: unknown[]) => {
          calls += 1;
          return isStuck ? new Promise(() => {}) : call(...values);
        }) as typeof own.callBuffer;
        own.on('-node', ({ options }: Redis) => dropped.push(`${options.port}`));
        return own;
      }
    }
    const nodes = servers.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    const host = new Stuck(nodes, { redisOptions: { username: name, password: 'secret' } });
    const store = openStore({ client: host, prefix: 'stuck', timeoutMs: 100 });
    await waitUntil(
      'it is counted',
      async () => typeof (await timed(() => count(store, 0))).result !== 'string',
    );
    isStuck = true;
    calls = 0;
    expect((await timed(() => read(store))).result).toBe('quota_unavailable');
    await waitUntil('it was told again behind the look at the nodes', () => calls > 1, { timeoutMs: 5_000 });
    const toldAt = performance.now();
    await waitUntil('their patience is over', () => performance.now() - toldAt > 700);
    expect(dropped).toEqual([]);
    isStuck = false;
    await waitUntil('it serves', async () => (await read(store).catch(() => null))?.committed === 0, {
      timeoutMs: 10_000,
    });
    await store.close();
    host.disconnect();
  });

  it('follows redirections and missing functions where the client of the host gives up at once (F12, F18)', async () => {
    for (const { url } of servers.nodes) {
      const admin = new Redis(url);
      await admin.call('FUNCTION', 'FLUSH');
      await admin.script('FLUSH');
      admin.disconnect();
    }
    const nodes = servers.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    const host = new Cluster(nodes, { maxRedirections: 0, lazyConnect: true });
    const store = openStore({ client: host, prefix: 'stubborn', timeoutMs: 2_000 });
    await waitUntil(
      'it is counted',
      async () => typeof (await timed(() => count(store, 0))).result !== 'string',
    );
    expect(await reserve(store, 'r')).toMatchObject({ outcome: 'reserved' });
    await store.close();
    host.disconnect();
  });

  it('is served by the other masters where one is silent while the store connects (F11, F18)', {
    timeout: 60_000,
  }, async () => {
    const partial = await startRedisCluster(3, ['--cluster-require-full-coverage', 'no']);
    const host = new Cluster(partial.nodes.map(({ port }) => ({ host: '127.0.0.1', port })));
    const spelling = { prefix: 'partly', hashTags: 3 };
    const orgs = Array.from({ length: 20 }, (_, index) => `org-${index}`);
    const org = orgs.find((one) => spellKeys(spelling).org(one).tag === 0);
    const open = () => openStore({ client: host, ...spelling, timeoutMs: 200 });
    const stores = [open()];
    const areServed = () =>
      waitUntil(
        'each is served',
        async () => {
          const answers = await Promise.all(stores.map((one) => timed(() => read(one, org))));
          return answers.every(({ result }) => typeof result !== 'string');
        },
        { timeoutMs: 15_000, everyMs: 100 },
      );
    await areServed();
    await partial.nodes[2]?.kill('SIGSTOP');
    // Which master it asks for the state of the cluster is chance.
    stores.push(...Array.from({ length: 12 }, open));
    await areServed();
    await partial.nodes[2]?.kill('SIGCONT');
    for (const one of stores) await one.close();
    host.disconnect();
    await partial.stop();
  });

  it('with a master dead the cluster refuses, the store says unavailable, and neither CROSSSLOT nor anything else (F18)', {
    timeout: 60_000,
  }, async () => {
    const store = openStore({ client, prefix: 'dead', timeoutMs: 1_000 });
    const orgs = Array.from({ length: 12 }, (_, index) => `org-${index}`);
    for (const org of orgs) await count(store, 0, org);
    await servers.nodes[2]?.kill('SIGKILL');
    await waitUntil(
      'the cluster is down for every org',
      async () => {
        const answers = await Promise.all(
          orgs.map((org) => timed(() => reserve(store, 'r', { org, leaseMs: 1_000 }))),
        );
        expect(
          answers.every(({ result }) => typeof result !== 'string' || result === 'quota_unavailable'),
        ).toBe(true);
        return answers.every(({ result }) => result === 'quota_unavailable');
      },
      { timeoutMs: 20_000, everyMs: 200 },
    );
    await store.close();
  });
});
