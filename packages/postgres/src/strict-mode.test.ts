import { setTimeout as sleep } from 'node:timers/promises';
import { type Charge, capacity, createBilling, TollgateError } from '@tollgate/core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { DATABASE_CLOCK } from './database/database-clock.ts';
import { counterStoreOn, type PostgresCounterStore } from './postgres-counter-store.ts';
import { postgresForTesting, type TestingDatabase } from './testing-database.test-support.ts';

const ORG = 'acme';
const DEVICES = { key: 'devices', window: 'lifetime' };

let database: TestingDatabase;
let pool: pg.Pool;
let store: PostgresCounterStore;
/** The host's own table, in the same database. */
let devices: string;

beforeAll(async () => {
  database = await postgresForTesting(inject('databaseUrl'));
  pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 30 });
  devices = `${database.s}_clock.devices`;
  await database.raw(`create table ${devices} (id text primary key, org text not null)`);
});
beforeEach(async () => {
  await database.clear();
  await database.raw(`delete from ${devices}`);
  store = storeOn(database.clockSql);
});
afterEach(() => store.close());
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const storeOn = (now: string) =>
  counterStoreOn(database.open(), { s: database.s, now, lapsedKeepMs: 600_000 }, 2_000);

const charges = (limit: number): Charge[] => [
  { ...DEVICES, amount: 1, limit, onUnknown: 'uncertain', forgetAt: null },
];
const reservation = (id: string, limit = 1) => ({ org: ORG, id, charges: charges(limit), rememberMs: 0 });
const hold = (id: string, limit = 1, leaseMs = 30_000) =>
  store.reserve({ ...reservation(id, limit), leaseMs, maxHeld: 1_000 });

async function countRows(): Promise<number> {
  const [row] = await database.raw<{ count: number }>(`select count(*)::int from ${devices} where org = $1`, [
    ORG,
  ]);
  return row?.count ?? 0;
}

async function recount(): Promise<void> {
  const tokens = await store.beginRecount({ org: ORG, counters: [DEVICES] });
  const count = await countRows();
  await store.finishRecount({
    org: ORG,
    counts: tokens.map((token) => ({ ...token, count, forgetAt: null })),
  });
}

async function reading() {
  const [counter] = await store.read({ org: ORG, counters: [DEVICES] });
  return counter;
}

/** A host's create: its row and the commit of the units in one transaction. */
async function createStrictly(
  id: string,
  limit = 1,
  before: () => Promise<void> = async () => {},
): Promise<boolean> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query(`insert into ${devices} values ($1, $2)`, [id, ORG]);
    await before();
    await store.commitWithin(client, reservation(id, limit));
    await client.query('commit');
    return true;
  } catch (error) {
    await client.query('rollback');
    if (error instanceof TollgateError && error.code === 'reservation_lapsed') return false;
    throw error;
  } finally {
    client.release();
  }
}

describe('a reservation committed inside the transaction of the host', () => {
  it('is counted when that transaction commits', async () => {
    await recount();
    await hold('a');
    await expect(createStrictly('a')).resolves.toBe(true);
    await expect(reading()).resolves.toMatchObject({ committed: 1, held: 0, uncertain: 0 });
    await expect(countRows()).resolves.toBe(1);
  });

  it('is still held when that transaction rolls back, and can be released', async () => {
    await recount();
    await hold('a');
    const client = await pool.connect();
    await client.query('begin');
    await store.commitWithin(client, reservation('a'));
    await client.query('rollback');
    client.release();
    await expect(reading()).resolves.toMatchObject({ committed: 0, held: 1 });
    await expect(store.settle({ ...reservation('a'), as: 'release' })).resolves.toMatchObject({
      outcome: 'settled',
    });
    await expect(hold('b')).resolves.toMatchObject({ outcome: 'reserved' });
  });

  it('is not counted again by the guard that settles it once more', async () => {
    await recount();
    await hold('a');
    await createStrictly('a');
    for (const as of ['commit', 'unknown', 'release'] as const) {
      await expect(store.settle({ ...reservation('a'), as })).resolves.toEqual({
        outcome: 'repeated',
        state: 'committed',
      });
    }
    await expect(reading()).resolves.toMatchObject({ committed: 1, held: 0, uncertain: 0 });
  });

  it('is remembered for as long as its commit asks, where that is longer than its reserve did', async () => {
    await recount();
    await hold('a');
    const client = await pool.connect();
    await client.query('begin');
    await store.commitWithin(client, { ...reservation('a'), rememberMs: 3_600_000 });
    await client.query('commit');
    client.release();
    await database.advance(3_599_999);
    const again = { ...reservation('a'), as: 'release' } as const;
    await expect(store.settle(again)).resolves.toEqual({ outcome: 'repeated', state: 'committed' });
  });

  it('is known to the settle of its guard for as long as one that failed is retried (Q4)', async () => {
    await recount();
    await hold('a');
    await createStrictly('a');
    // The handler ended ten minutes later, while the database was away for as long as the settle is retried.
    await database.advance(600_000 + 599_999);
    const retried = { ...reservation('a'), as: 'commit' } as const;
    await expect(store.settle(retried)).resolves.toEqual({ outcome: 'repeated', state: 'committed' });
  });

  it('keeps a part of its units when told so', async () => {
    await recount();
    const batch = { ...reservation('a', 10), charges: [{ ...charges(10)[0], amount: 5 } as Charge] };
    await store.reserve({ ...batch, leaseMs: 30_000, maxHeld: 10 });
    const client = await pool.connect();
    await client.query('begin');
    await store.commitWithin(client, { ...batch, amounts: [3] });
    await client.query('commit');
    client.release();
    await expect(reading()).resolves.toMatchObject({ committed: 3, held: 0 });
  });

  it('takes the create back when its lease has run out: no excess, where an ordinary commit has one (Q1x(b), F7)', async () => {
    await recount();
    await hold('slow');
    const created = await createStrictly('slow', 1, async () => {
      // Beyond the lease, another create gets the unit: the host's count does not show the open transaction.
      await database.advance(30_000);
      await recount();
      await expect(hold('next')).resolves.toMatchObject({ outcome: 'reserved' });
      await expect(createStrictly('next')).resolves.toBe(true);
    });
    expect(created).toBe(false);
    await expect(countRows()).resolves.toBe(1);
    await recount();
    await expect(reading()).resolves.toMatchObject({ committed: 1, held: 0, uncertain: 0 });

    // The same story with a commit after the transaction: the excess that strict mode is there for.
    await database.raw(`delete from ${devices}`);
    await recount();
    await hold('slow 2');
    await database.advance(30_000);
    await recount();
    await hold('next 2');
    await createStrictly('next 2');
    await database.raw(`insert into ${devices} values ('slow 2', $1)`, [ORG]);
    await expect(store.settle({ ...reservation('slow 2'), as: 'commit' })).resolves.toMatchObject({
      late: true,
      overLimit: true,
    });
    await expect(countRows()).resolves.toBe(2);
  });

  it('takes the create back when its lease has run out and nobody has asked for its org since', async () => {
    await recount();
    await hold('a');
    await database.advance(30_000);
    await expect(createStrictly('a')).resolves.toBe(false);
    await expect(countRows()).resolves.toBe(0);
    await expect(reading()).resolves.toMatchObject({ committed: 0, held: 0, uncertain: 1 });
  });

  it('waits a bounded time for an org that is locked, and leaves the client free for the roll-back', async () => {
    await recount();
    await hold('a');
    const [locking, client] = await Promise.all([pool.connect(), pool.connect()]);
    await locking.query(`begin; select * from ${database.s}.counter_orgs for update`);
    await client.query('begin');
    const hasty = counterStoreOn(
      database.open(),
      { s: database.s, now: database.clockSql, lapsedKeepMs: 1 },
      200,
    );
    await expect(hasty.commitWithin(client, reservation('a'))).rejects.toMatchObject({
      code: 'quota_unavailable',
    });
    await client.query('rollback');
    await locking.query('rollback');
    for (const used of [locking, client]) used.release();
    await hasty.close();
  });

  it('makes everybody else wait from its commit on, so that a pause before the end of the transaction lets nobody in', async () => {
    await recount();
    await hold('a');
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`insert into ${devices} values ('a', $1)`, [ORG]);
    await store.commitWithin(client, reservation('a'));
    await database.advance(60_000);
    const others = Promise.all([hold('b'), recount().then(() => hold('c'))]);
    await sleep(50);
    await client.query('commit');
    client.release();
    const [b, c] = await others;
    expect([b.outcome, c.outcome]).toEqual(['denied', 'denied']);
    await expect(countRows()).resolves.toBe(1);
  });

  it.each(['released', 'never made', 'given up as unknown', 'committed before'])(
    'takes the create back when it was %s',
    async (how) => {
      await recount();
      if (how !== 'never made') await hold('a');
      if (how === 'released') await store.settle({ ...reservation('a'), as: 'release' });
      if (how === 'given up as unknown') await store.settle({ ...reservation('a'), as: 'unknown' });
      if (how === 'committed before') await store.settle({ ...reservation('a'), as: 'commit' });
      await expect(createStrictly('a')).resolves.toBe(false);
      await expect(countRows()).resolves.toBe(0);
    },
  );

  it('is refused without an open transaction, and changes nothing', async () => {
    await recount();
    await hold('a');
    const client = await pool.connect();
    await expect(store.commitWithin(client, reservation('a'))).rejects.toMatchObject({
      code: 'invalid_configuration',
    });
    client.release();
    await expect(reading()).resolves.toMatchObject({ committed: 0, held: 1 });
  });

  it.each([{}, { query: {} }])('is refused on what is no client of pg: %j', async (transaction) => {
    await hold('a');
    const committing = store.transactions?.commitWithin({ ...reservation('a'), transaction });
    await expect(committing).rejects.toMatchObject({ code: 'invalid_configuration' });
  });

  it.each(['repeatable read', 'serializable'])('never decides on an old snapshot under %s', async (level) => {
    await recount();
    await hold('a');
    const client = await pool.connect();
    await client.query(`begin isolation level ${level}; select 1 from ${devices}`);
    // After the snapshot was taken, the reservation ends.
    await store.settle({ ...reservation('a'), as: 'release' });
    await hold('b');
    const error = await store.commitWithin(client, reservation('a')).catch((thrown: unknown) => thrown);
    await client.query('rollback');
    client.release();
    expect(error).toMatchObject({ code: 'quota_unavailable', cause: { code: '40001' } });
  });

  it('is still held after a serialisation failure: the host runs its transaction again', async () => {
    await recount();
    await hold('a', 2);
    const client = await pool.connect();
    const begin = () => client.query(`begin isolation level repeatable read; select 1 from ${devices}`);
    await begin();
    await hold('b', 2);
    await expect(store.commitWithin(client, reservation('a', 2))).rejects.toMatchObject({
      code: 'quota_unavailable',
      cause: { code: '40001' },
    });
    await client.query('rollback');
    await begin();
    await store.commitWithin(client, reservation('a', 2));
    await client.query('commit');
    client.release();
    await expect(reading()).resolves.toMatchObject({ committed: 1, held: 1 });
  });

  it('leaves the settings of the host alone', async () => {
    await recount();
    await hold('a');
    const client = await pool.connect();
    await client.query(
      `begin; set local lock_timeout = '7s'; set local timezone = 'Asia/Kolkata'; set local datestyle = 'SQL, DMY'`,
    );
    await store.commitWithin(client, reservation('a'));
    const { rows } = await client.query(
      `select current_setting('lock_timeout') as lock, current_setting('timezone') as zone`,
    );
    await client.query('commit');
    client.release();
    expect(rows).toEqual([{ lock: '7s', zone: 'Asia/Kolkata' }]);
    await expect(reading()).resolves.toMatchObject({ committed: 1 });
  });
});

it('never exceeds a limit with handlers that outlive their leases at random (Q1x(b) is 0)', {
  timeout: 60_000,
}, async () => {
  await store.close();
  store = storeOn(DATABASE_CLOCK);
  await recount();
  const limit = 5;
  const outcomes = { created: 0, lapsed: 0, refused: 0 };
  const attempt = async (n: number) => {
    const id = `${n}`;
    for (let round = 0; round < 4; round += 1) {
      const { outcome } = await hold(id, limit, 60);
      if (outcome === 'reserved') {
        const created = await createStrictly(id, limit, () => sleep(n % 3 === 0 ? 90 : 5));
        outcomes[created ? 'created' : 'lapsed'] += 1;
        return;
      }
      await recount();
    }
    outcomes.refused += 1;
  };
  let most = 0;
  for (let wave = 0; wave < 4; wave += 1) {
    await Promise.all(Array.from({ length: 12 }, (_, n) => attempt(wave * 12 + n)));
    most = Math.max(most, await countRows());
    // Room again for the next wave.
    await database.raw(`delete from ${devices} where id in (select id from ${devices} limit 3)`);
  }
  expect(most).toBeLessThanOrEqual(limit);
  expect(most).toBeGreaterThan(0);
  expect(outcomes.lapsed).toBeGreaterThan(0);
  await sleep(70);
  await recount();
  await expect(reading()).resolves.toMatchObject({ committed: await countRows(), held: 0, uncertain: 0 });
});

describe("reservation.commit({ transaction }) of an engine's handle", () => {
  const engine = () =>
    createBilling({
      quotas: { devices: capacity() },
      tiers: [
        { slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits: { devices: 1 } },
      ],
      inventory: { count: countRows, list: async function* () {}, find: async () => null },
      access: () => null,
      provider: null,
      counters: store,
      leaseMs: 1_000,
    });

  async function reserve(billing: ReturnType<typeof engine>) {
    const admission = await billing.reserve({ org: ORG, charges: [{ key: 'devices' }] });
    if (!admission.admitted) throw new Error('the create was refused');
    return admission.reservation;
  }

  it('counts the units with the row, and leaves nothing for the guard to settle', async () => {
    const reservation = await reserve(engine());
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`insert into ${devices} values ('a', $1)`, [ORG]);
    await reservation.commit({ transaction: client });
    await client.query('commit');
    client.release();
    await expect(reservation.commit()).resolves.toBe('committed');
    await expect(reading()).resolves.toMatchObject({ committed: 1, held: 0, uncertain: 0 });
  });

  it('Q1x(b): rolls back the create of a handler that was paused beyond its lease', async () => {
    const paused = await reserve(engine());
    await database.advance(1_001);
    const next = await reserve(engine());
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`insert into ${devices} values ('late', $1)`, [ORG]);
    await expect(paused.commit({ transaction: client })).rejects.toMatchObject({
      code: 'reservation_lapsed',
    });
    await client.query('rollback');
    client.release();
    await next.release();
    await expect(countRows()).resolves.toBe(0);
  });
});
