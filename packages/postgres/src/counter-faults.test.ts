import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Charge } from '@tollgate/core';
import pg from 'pg';
import { expect, inject, it, onTestFinished, vi } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import type { PgPool } from './database/pg-types.ts';
import { heard } from './heard-pool.test-support.ts';
import { type PostgresCounterStore, postgresCounterStore } from './postgres-counter-store.ts';

const DEVICES = { key: 'devices', window: 'lifetime' };
const charges: readonly Charge[] = [
  { ...DEVICES, amount: 1, limit: 100, onUnknown: 'uncertain', forgetAt: null },
];

/** A pool whose connections break right behind each commit, while `link.losesReplies`. */
function losingReplies(pool: pg.Pool, link: { readonly losesReplies: boolean }): PgPool {
  return heard(pool, ({ text }) => {
    if (link.losesReplies && text === 'commit') throw new Error('the connection broke');
  });
}

/** A pool that tells how many rows of an org were read at once, beside those that tidying reads. */
function watching(pool: pg.Pool) {
  const most: Record<string, number> = {};
  const watched = heard(pool, (_query, { rows }) => {
    for (const [name, list] of (rows ?? []).flatMap(Object.entries))
      if (Array.isArray(list)) most[name] = Math.max(most[name] ?? 0, list.length);
  });
  return { pool: watched, most: (name: string) => most[name] };
}

/** A store that waits 300 ms for the database. */
async function scene() {
  const link = { losesReplies: false };
  const schema = `counter_faults_${randomBytes(4).toString('hex')}`;
  const pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 4 });
  onTestFinished(() => pool.end());
  const store = postgresCounterStore({ pool: losingReplies(pool, link), schema, timeoutMs: 300 });
  await store.migrate();
  onTestFinished(async () => void (await pool.query(`drop schema ${schema} cascade`)));
  onTestFinished(() => store.close());
  return { pool, schema, store, link };
}

async function beginAtZero(store: PostgresCounterStore, org: string): Promise<void> {
  const tokens = await store.beginRecount({ org, counters: [DEVICES] });
  await store.finishRecount({ org, counts: tokens.map((token) => ({ ...token, count: 0, forgetAt: null })) });
}

/** When leases were made a minute long from half a minute: by reservation, epoch ms. */
async function renewedIn(pool: pg.Pool, schema: string): Promise<Readonly<Record<string, number>>> {
  const { rows } = await pool.query(
    `select org, id, lease_ends_at::float8 - 60000 as at from ${schema}.reservations where lease_ends_at > ${Date.now() + 40_000}`,
  );
  return Object.fromEntries(rows.map(({ org, id, at }) => [`${org} ${id}`, Number(at)]));
}

it('orgs that are locked do not stop the renewals of others, however many they are (Q6)', async () => {
  const { pool, schema, store } = await scene();
  const orgs = [...Array.from({ length: 8 }, (_, index) => `locked-${index}`), 'free'];
  for (const org of orgs) {
    await beginAtZero(store, org);
    for (const id of ['renewed', 'left alone'])
      await store.reserve({ org, id, charges, rememberMs: 0, leaseMs: 30_000, maxHeld: 10 });
  }
  const locking = await pool.connect();
  onTestFinished(() => locking.release());
  await locking.query(`begin; select * from ${schema}.counter_orgs where org <> 'free' for update`);
  const leases = orgs.map((org) => ({ org, id: 'renewed' }));
  await expect(store.renew({ leases, leaseMs: 60_000 })).rejects.toMatchObject({ code: 'quota_unavailable' });
  const endedAt = Date.now();
  await locking.query('rollback');
  const renewed = await renewedIn(pool, schema);
  expect(Object.keys(renewed)).toEqual(['free renewed']);
  // The locked ones were waited for behind it, each for its 300 ms.
  expect(endedAt - (renewed['free renewed'] ?? endedAt)).toBeGreaterThan(1_000);
});

it('an org that is locked keeps few connections of the pool waiting: creates of others go on', async () => {
  const { pool, schema, store } = await scene();
  for (const org of ['locked', 'free']) await beginAtZero(store, org);
  const locking = await pool.connect();
  onTestFinished(() => locking.release());
  await locking.query(`begin; select * from ${schema}.counter_orgs where org = 'locked' for update`);
  const reserve = (org: string, id: string) =>
    store.reserve({ org, id, charges, rememberMs: 0, leaseMs: 10_000, maxHeld: 100 });
  const late = Array.from({ length: 20 }, (_, index) => reserve('locked', `${index}`));
  const lost = Promise.allSettled(late);
  const isLate = vi.fn();
  void lost.then(isLate);
  await expect(reserve('free', 'a')).resolves.toMatchObject({ outcome: 'reserved' });
  expect(isLate).not.toHaveBeenCalled();
  for (const { status } of await lost) expect(status).toBe('rejected');
  await locking.query('rollback');
  await expect(reserve('locked', 'again')).resolves.toMatchObject({ outcome: 'reserved' });
});

it('creates of an org that wait for each other do not all wait for a connection of a busy pool as well', async () => {
  const { schema, store } = await scene();
  await beginAtZero(store, 'acme');
  const pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 2 });
  onTestFinished(() => pool.end());
  const patient = postgresCounterStore({ pool, schema });
  // Others of whom about ten stand before each that asks for a connection: half a second.
  const busy = new AbortController();
  const others = Array.from({ length: 20 }, async () => {
    while (!busy.signal.aborted) await pool.query('select pg_sleep(0.05)');
  });
  const creates = Array.from({ length: 24 }, (_, index) =>
    patient.reserve({ org: 'acme', id: `${index}`, charges, rememberMs: 0, leaseMs: 10_000, maxHeld: 100 }),
  );
  const outcomes = await Promise.allSettled(creates);
  busy.abort();
  await Promise.all(others);
  await patient.close();
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
});

it('a query of the host does not wait for a tenth of a second of each org whose creates wait for each other', async () => {
  const { schema, store } = await scene();
  const orgs = Array.from({ length: 20 }, (_, index) => `busy-${index}`);
  for (const org of orgs) await beginAtZero(store, org);
  const pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 2 });
  onTestFinished(() => pool.end());
  // On a fast machine as well a step takes the five of 100 ms that each of 20 orgs has.
  const slow: PgPool = {
    ...heard(pool, () => {}),
    async connect() {
      const client = await heard(pool, () => {}).connect();
      const query: typeof client.query = async (config) => {
        if (config.text === 'commit') await sleep(5);
        return await client.query(config);
      };
      return { ...client, query };
    },
  };
  const patient = postgresCounterStore({ pool: slow, schema, timeoutMs: 20_000 });
  let done = 0;
  const creates = Array.from({ length: 16 * orgs.length }, async (_, index) => {
    const org = `busy-${index % orgs.length}`;
    await patient.reserve({ org, id: `${index}`, charges, rememberMs: 0, leaseMs: 30_000, maxHeld: 100 });
    done += 1;
  });
  await waitUntil('all have asked for a connection', () => pool.waitingCount > orgs.length);
  await pool.query('select');
  expect(done).toBeLessThan(creates.length / 2);
  await Promise.all(creates);
  await patient.close();
});

it('a step whose connection breaks, which was handed on to it, is taken on another one (F22)', async () => {
  const { schema, store } = await scene();
  await beginAtZero(store, 'acme');
  const pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 2 });
  onTestFinished(() => pool.end());
  let broken = 0;
  const breaking = heard(pool, ({ values }) => {
    if (broken > 0 || !values?.some((value) => String(value).includes('create-5'))) return;
    broken += 1;
    throw new Error('the connection broke');
  });
  const own = postgresCounterStore({ pool: breaking, schema });
  const asked = { org: 'acme', charges, rememberMs: 0, leaseMs: 30_000, maxHeld: 100 };
  const creates = Array.from({ length: 8 }, (_, index) => own.reserve({ ...asked, id: `create-${index}` }));
  for (const outcome of await Promise.all(creates)) expect(outcome).toMatchObject({ outcome: 'reserved' });
  expect(broken).toBe(1);
  await own.close();
  expect(pool.idleCount).toBe(pool.totalCount);
});

it("leases are judged by the database's clock, whatever this process takes for the time (F30, Q5)", async () => {
  const { pool, schema } = await scene();
  const store = postgresCounterStore({ pool, schema });
  onTestFinished(() => store.close());
  onTestFinished(() => void vi.useRealTimers());
  await beginAtZero(store, 'acme');
  const reserve = (id: string) =>
    store.reserve({ org: 'acme', id, charges, rememberMs: 0, leaseMs: 60_000, maxHeld: 10 });
  const held = async () => (await store.read({ org: 'acme', counters: [DEVICES] }))[0]?.held;
  await reserve('right');
  for (const days of [1, -1]) {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + days * 86_400_000 });
    expect(await held(), 'it has not lapsed').toBe(1);
    await reserve('wrong');
    vi.useRealTimers();
    const { rows } = await pool.query(`select lease_ends_at::float8 as at from ${schema}.reservations`);
    for (const { at } of rows) expect(Math.abs(at - 60_000 - Date.now())).toBeLessThan(60_000);
    await store.settle({ org: 'acme', id: 'wrong', charges, rememberMs: 0, as: 'release' });
  }
});

it('the lease of an org that was locked for a moment is renewed, behind one that stays locked (Q6)', async () => {
  const { pool, schema, store } = await scene();
  const leases = [];
  for (const org of ['stuck', 'acme']) {
    await beginAtZero(store, org);
    const asked = { org, id: 'r', charges, rememberMs: 0 };
    await store.reserve({ ...asked, leaseMs: 30_000, maxHeld: 10 });
    leases.push(asked);
  }
  const [stuck, acme] = await Promise.all([pool.connect(), pool.connect()]);
  onTestFinished(() => {
    for (const locking of [stuck, acme]) locking.release(true);
  });
  for (const [locking, org] of [
    [stuck, 'stuck'],
    [acme, 'acme'],
  ] as const)
    await locking.query(`begin; select * from ${schema}.counter_orgs where org = '${org}' for update`);
  const renewing = expect(store.renew({ leases, leaseMs: 60_000 })).rejects.toMatchObject({
    code: 'quota_unavailable',
  });
  await waitUntil('it waits', async () => {
    const { rows } = await pool.query(`select 1 from pg_stat_activity
      where wait_event_type = 'Lock' and query like '%${schema}%'`);
    return rows.length > 0;
  });
  await acme.query('rollback');
  await renewing;
  expect(Object.keys(await renewedIn(pool, schema))).toEqual(['acme r']);
});

it('a create whose reply was lost is refused, and takes no units (F22, Q3)', async () => {
  const { store, link } = await scene();
  await beginAtZero(store, 'acme');
  const asked = { org: 'acme', rememberMs: 0, leaseMs: 60_000, maxHeld: 10 };
  const reading = async () => (await store.read({ org: 'acme', counters: [DEVICES] }))[0];
  link.losesReplies = true;
  const charged = charges.map((charge) => ({ ...charge, onUnknown: 'commit' as const }));
  await expect(store.reserve({ ...asked, id: 'lost', charges: charged })).rejects.toMatchObject({
    code: 'quota_unavailable',
  });
  link.losesReplies = false;
  await waitUntil('they are given back', async () => (await reading())?.held === 0);
  expect(await reading()).toMatchObject({ committed: 0, held: 0, uncertain: 0 });
});

it('a create under an id that is remembered stays held when its reply was lost: it may be asked for again (Q3)', async () => {
  const { pool, schema, store, link } = await scene();
  await beginAtZero(store, 'acme');
  const asked = { org: 'acme', id: 'key', charges, rememberMs: 60_000, leaseMs: 60_000, maxHeld: 10 };
  link.losesReplies = true;
  await expect(store.reserve(asked)).rejects.toMatchObject({ code: 'quota_unavailable' });
  link.losesReplies = false;
  await store.close();
  const next = postgresCounterStore({ pool, schema });
  onTestFinished(() => next.close());
  expect(await next.reserve(asked)).toEqual({ outcome: 'repeated', state: 'held' });
});

it('a recount that was begun on counts that are lost since is of no use, and no failure (Q8)', async () => {
  const { pool, schema, store } = await scene();
  await beginAtZero(store, 'acme');
  const asked = { org: 'acme', id: 'r', charges, rememberMs: 0 };
  await store.reserve({ ...asked, leaseMs: 60_000, maxHeld: 10 });
  await store.settle({ ...asked, as: 'commit' });
  const tokens = await store.beginRecount({ org: 'acme', counters: [DEVICES] });
  // A standby was promoted that had not been told of the commit yet.
  await pool.query(`update ${schema}.counters set committed = 0, added = 0`);
  const counts = tokens.map((token) => ({ ...token, count: 0, forgetAt: null }));
  expect(await store.finishRecount({ org: 'acme', counts })).toMatchObject([{ applied: false }]);
});

it('a recount of a primary that is gone does not pass for one of the standby that was promoted (Q8)', async () => {
  const { pool, schema, store } = await scene();
  await beginAtZero(store, 'acme');
  const tables = ['counter_orgs', 'counters'];
  for (const table of tables)
    await pool.query(`create table ${schema}.${table}_known as table ${schema}.${table}`);
  await beginAtZero(store, 'acme');
  const tokens = await store.beginRecount({ org: 'acme', counters: [DEVICES] });
  // A standby was promoted that had not been told of the second recount yet.
  for (const table of tables)
    await pool.query(
      `delete from ${schema}.${table}; insert into ${schema}.${table} table ${schema}.${table}_known`,
    );
  await beginAtZero(store, 'acme');
  const counts = tokens.map((token) => ({ ...token, count: 7, forgetAt: null }));
  expect(await store.finishRecount({ org: 'acme', counts })).toMatchObject([{ applied: false }]);
});

it('what is remembered is tidied without being read: an org may have a day of creates of it (T17)', async () => {
  const { pool, schema } = await scene();
  const reading = watching(pool);
  const inAnHour = Date.now() + 3_600_000;
  await pool.query(
    `insert into ${schema}.counter_orgs values ('busy', 0, 1, 0);
     insert into ${schema}.settled_reservations values ('busy', 'over', 'x', 'committed', 1);
     insert into ${schema}.settled_reservations values ('busy', 'live', 'x', 'committed', ${inAnHour});
     insert into ${schema}.adjustments values ('busy', 'over', 1), ('busy', 'live', ${inAnHour})`,
  );
  const store = postgresCounterStore({ pool: reading.pool, schema });
  onTestFinished(() => store.close());
  // The first step of a process tidies.
  await store.beginRecount({ org: 'acme', counters: [DEVICES] });
  const stored = async () => {
    const { rows } = await pool.query(
      `select id from ${schema}.settled_reservations union all select id from ${schema}.adjustments
       union all select 'org' from ${schema}.counter_orgs where tidied_at = 0`,
    );
    return rows.map(({ id }) => id);
  };
  await waitUntil('what is over is gone', async () => (await stored()).length === 2);
  expect(await stored()).toEqual(['live', 'live']);
  expect([reading.most('settled'), reading.most('adjustments')]).toEqual([0, 0]);
});

it('a create reads the counters it asks for, of however many sessions of the org', async () => {
  const { pool, schema, store } = await scene();
  await beginAtZero(store, 'acme');
  await pool.query(
    `insert into ${schema}.counters
     select 'acme', 'calls', 'session:' || i, true, i, 1, 0, 0, 0, 0, null, 0 from generate_series(1, 50) i`,
  );
  const reading = watching(pool);
  const watched = postgresCounterStore({ pool: reading.pool, schema });
  onTestFinished(() => watched.close());
  const asked = { org: 'acme', id: 'r', charges, rememberMs: 0 };
  await watched.reserve({ ...asked, leaseMs: 60_000, maxHeld: 10 });
  await watched.renew({ leases: [asked], leaseMs: 60_000 });
  await watched.settle({ ...asked, as: 'commit' });
  await watched.adjust({
    org: 'acme',
    adjustments: [{ ...DEVICES, amount: 1, change: 'created', forgetAt: null }],
  });
  expect(await watched.read({ org: 'acme', counters: [DEVICES] })).toMatchObject([
    { committed: 1, held: 0, uncertain: 1 },
  ]);
  expect(reading.most('counters')).toBe(1);
});

it('tidying reads the counters whose time is over, of however many sessions of an org, and drops orgs of which nothing is left (T17)', async () => {
  const { pool, schema } = await scene();
  const reading = watching(pool);
  const inAnHour = Date.now() + 3_600_000;
  await pool.query(
    `insert into ${schema}.counter_orgs values ('busy', 0, 1, 0), ('over', 0, 1, 0), ('lapsed', 0, 1, 0);
     insert into ${schema}.reservations values ('lapsed', 'r', true, 'x', 0, ${Date.now()}, '[]');
     insert into ${schema}.counters
     select 'busy', 'calls', 'session:' || i, true, i, 1, 0, 0, 0, 0, ${inAnHour}, 0 from generate_series(1, 50) i;
     insert into ${schema}.counters values
       ('busy', 'calls', 'session:over', true, 1, 1, 0, 0, 0, 0, 1, 0),
       ('busy', 'calls', 'never counted', false, 1, 0, 0, 0, 0, 0, null, 1),
       ('busy', 'calls', 'being counted', false, 1, 0, 0, 0, 0, 0, null, ${inAnHour}),
       ('busy', 'devices', 'lifetime', true, 1, 1, 0, 0, 0, 0, null, 1),
       ('over', 'calls', 'session:over', true, 1, 1, 0, 0, 0, 0, 1, 0)`,
  );
  const store = postgresCounterStore({ pool: reading.pool, schema });
  onTestFinished(() => store.close());
  // The first step of a process tidies.
  await store.beginRecount({ org: 'acme', counters: [DEVICES] });
  const stored = async (table: string) =>
    (await pool.query(`select * from ${schema}.${table} where org <> 'acme' order by org`)).rows;
  await waitUntil('all are tidied', async () => (await stored('counter_orgs')).length === 2);
  expect(await stored('counter_orgs')).toMatchObject([{ org: 'busy' }, { org: 'lapsed' }]);
  expect((await stored('counter_orgs'))[0]?.tidied_at).not.toBe('0');
  expect(await stored('counters')).toHaveLength(52);
  expect(reading.most('counters')).toBe(2);
});

it('tidying takes orgs that nobody has locked, those first that were tidied longest ago, and not before a minute is over (T17)', async () => {
  const { pool, schema } = await scene();
  const begunAt = Date.now();
  await pool.query(
    `insert into ${schema}.counter_orgs select 'org-' || i, 0, 1, ${begunAt} - 90000 + i from generate_series(1, 24) i;
     insert into ${schema}.counter_orgs select 'fresh-' || i, 0, 1, ${begunAt} - 50000 + i from generate_series(1, 3) i;
     insert into ${schema}.counters select org, 'devices', 'lifetime', true, 1, 1, 0, 0, 0, 0, null, 0
     from ${schema}.counter_orgs`,
  );
  const locking = await pool.connect();
  onTestFinished(() => locking.release());
  await locking.query(`begin; select * from ${schema}.counter_orgs where org = 'org-1' for update`);
  const store = postgresCounterStore({ pool, schema });
  onTestFinished(() => store.close());
  // The first step of a process tidies.
  await store.beginRecount({ org: 'acme', counters: [DEVICES] });
  const tidied = async () => {
    const answer = await pool.query(
      `select org from ${schema}.counter_orgs where org <> 'acme' and tidied_at >= $1 order by org collate "C"`,
      [begunAt],
    );
    return answer.rows.map(({ org }) => org);
  };
  await waitUntil('some are tidied', async () => (await tidied()).length > 0);
  const old = (most: number) => Array.from({ length: most - 1 }, (_, index) => `org-${index + 2}`).sort();
  expect(await tidied()).toEqual(old(21));
  const next = postgresCounterStore({ pool, schema });
  onTestFinished(() => next.close());
  await next.beginRecount({ org: 'acme', counters: [DEVICES] });
  await waitUntil('the rest is tidied', async () => (await tidied()).includes('org-24'));
  expect(await tidied()).toEqual(old(24));
  await locking.query('rollback');
});

it('a step that was done is answered, though no connection is free to tidy with (F23)', async () => {
  const { schema } = await scene();
  const pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 1 });
  onTestFinished(() => pool.end());
  const store = postgresCounterStore({ pool, schema, timeoutMs: 1_000 });
  onTestFinished(() => store.close());
  // The first step of a process tidies.
  const begun = store.beginRecount({ org: 'acme', counters: [DEVICES] });
  await waitUntil('the connection is in use', () => pool.totalCount === 1, { everyMs: 1 });
  const next = pool.connect();
  onTestFinished(async () => (await next).release());
  const first = await Promise.race([begun, next.then(() => sleep(500, 'nothing'))]);
  expect(first).toHaveLength(1);
});
