import { type CounterStoreHost, counterStoreContract, runCounterStoreHistories } from '@tollgate/testing';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { type TcpProxy, tcpProxy } from '../../../test/support/services.ts';
import { counterStoreOn, type PostgresCounterStore } from './postgres-counter-store.ts';
import { postgresForTesting, type TestingDatabase } from './testing-database.test-support.ts';

const LAPSED_KEEP_MS = 600_000;
const RUNS = Number(process.env.TOLLGATE_POSTGRES_HISTORIES ?? 100);
vi.setConfig({ testTimeout: 60_000 });
let proxy: TcpProxy;
let database: TestingDatabase;

beforeAll(async () => {
  const url = inject('databaseUrl');
  proxy = await tcpProxy(Number(new URL(url).port));
  database = await postgresForTesting(url, proxy.port);
});
afterAll(async () => {
  await database.drop();
  await proxy.close();
});

const newStore = (lapsedKeepMs = LAPSED_KEEP_MS) =>
  counterStoreOn(database.open(), { s: database.s, now: database.clockSql, lapsedKeepMs }, 60_000);

const host: CounterStoreHost<PostgresCounterStore> = {
  name: 'Postgres',
  async create() {
    await database.clear();
    return newStore();
  },
  createPeer: () => newStore(),
  inspect: {
    async counter(_, { org, key, window }) {
      const { s, raw } = database;
      const [row] = await raw<{ committed: number; held: number; uncertain: number }>(
        `select committed::float8, uncertain::float8,
             (select coalesce(sum((charge ->> 'amount')::bigint), 0)::float8
              from ${s}.reservations r, jsonb_array_elements(r.charges) as charge
              where r.org = c.org and not r.lapsed and charge ->> 'key' = c.key and charge ->> 'window' = c.window_label) as held
           from ${s}.counters c where org = $1 and key = $2 and window_label = $3 and known`,
        [org, key, window],
      );
      return row ?? null;
    },
    async orgs() {
      const { s, raw } = database;
      const rows = await raw<{ org: string }>(`
          select org from ${s}.counter_orgs union select org from ${s}.counters union select org from ${s}.reservations
          union select org from ${s}.settled_reservations union select org from ${s}.adjustments`);
      return rows.map(({ org }) => org);
    },
    async records() {
      const { s, raw } = database;
      const [row] = await raw<{ records: number }>(`
          select ((select count(*) from ${s}.reservations) + (select count(*) from ${s}.settled_reservations)
            + (select count(*) from ${s}.adjustments))::float8 as records`);
      return row?.records ?? 0;
    },
  },
  clock: {
    now: () => database.now(),
    advance: (_, ms) => database.advance(ms),
  },
  timing: { leaseMs: 30_000, rememberMs: 86_400_000, lapsedKeepMs: LAPSED_KEEP_MS, slackMs: 0 },
  teardown: (store) => store.close(),
  outage: {
    break: () => proxy.cut(),
    mend: () => proxy.restore(),
    answersWithinMs: 3_000,
  },
};

counterStoreContract(host);

describe('the Postgres counter store', () => {
  it('answers every history as the port says (Q11)', { timeout: 1_200_000 }, () =>
    runCounterStoreHistories({
      runs: RUNS,
      lapsedKeepMs: 20_000,
      async create() {
        await database.clear();
        const store = newStore(20_000);
        return { store, now: database.now, advance: database.advance, teardown: store.close };
      },
    }),
  );

  it('applies no count that was begun before its org was tidied away and made anew (Q8)', async () => {
    await database.clear();
    const store = newStore();
    const begin = () =>
      store.beginRecount({ org: 'acme', counters: [{ key: 'devices', window: 'lifetime' }] });
    const stale = await begin();
    for (const table of ['counters', 'counter_orgs'])
      await database.raw(`delete from ${database.s}.${table}`);
    await database.advance(1);
    await begin();
    const counts = stale.map((token) => ({ ...token, count: 5, forgetAt: null }));
    expect(await store.finishRecount({ org: 'acme', counts })).toMatchObject([{ applied: false }]);
    await store.close();
  });
});
