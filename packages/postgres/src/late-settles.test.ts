import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { type Charge, type SettleOutcome, TollgateError } from '@tollgate/core';
import pg from 'pg';
import { expect, inject, it, onTestFinished } from 'vitest';
import { tcpProxy, waitUntil } from '../../../test/support/services.ts';
import { createLateSettles } from './counters/late-settles.ts';
import { heard } from './heard-pool.test-support.ts';
import { type PostgresCounterStore, postgresCounterStore } from './postgres-counter-store.ts';

const OPENS = { key: 'door_opens', window: 'day:2026-04-09' };
const charges: readonly Charge[] = [
  { ...OPENS, amount: 1, limit: 100, onUnknown: 'release', forgetAt: null },
];
const reservation = (id: string) => ({ org: 'acme', id, charges, rememberMs: 0 });
const settled = { outcome: 'settled', late: false, overLimit: false };
const unavailable = expect.objectContaining({ code: 'quota_unavailable' });

/** Stores behind a link that can be injured, and one that is not. */
async function scene({ leaseMs = 60_000, lapsedKeepMs = 600_000, timeoutMs = 300 } = {}) {
  const url = new URL(inject('databaseUrl'));
  const link = await tcpProxy(Number(url.port));
  onTestFinished(() => link.close());
  /** Connections break right behind each statement that begins so, of whose reply nobody hears: behind none by default. */
  const replies: { lostTo: string | null } = { lostTo: null };
  const schema = `late_${randomBytes(4).toString('hex')}`;
  const opened = (port: number) => {
    const pool = new pg.Pool({
      connectionString: `${url.protocol}//${url.username}@127.0.0.1:${port}${url.pathname}`,
      max: 2,
      connectionTimeoutMillis: timeoutMs - 100,
    });
    onTestFinished(() => pool.end());
    const hearing = heard(pool, ({ text }) => {
      if (replies.lostTo !== null && text.startsWith(replies.lostTo)) throw new Error('the connection broke');
    });
    return { pool, store: postgresCounterStore({ pool: hearing, schema, timeoutMs, lapsedKeepMs }) };
  };
  const away = opened(link.port).store;
  const { store: here, pool } = opened(Number(url.port));
  await here.migrate();
  onTestFinished(async () => void (await pool.query(`drop schema ${schema} cascade`)));
  onTestFinished(() => away.close());
  const [token] = await here.beginRecount({ org: 'acme', counters: [OPENS] });
  await here.finishRecount({
    org: 'acme',
    counts: [{ ...OPENS, token: token?.token ?? '', reading: null, count: 0, forgetAt: null }],
  });
  const reserve = (id: string) => away.reserve({ ...reservation(id), leaseMs, maxHeld: 10 });
  const used = async () => {
    const [reading] = await here.read({ org: 'acme', counters: [OPENS] });
    return reading && { committed: reading.committed, held: reading.held };
  };
  return { away, here, link, replies, pool, schema, reserve, used };
}

/** Asks for a settle; answers what it came to late. */
async function failing(store: PostgresCounterStore, id: string) {
  const late: SettleOutcome[] = [];
  const onLateAnswer = (outcome: SettleOutcome) => late.push(outcome);
  await expect(store.settle({ ...reservation(id), as: 'commit', onLateAnswer })).rejects.toEqual(unavailable);
  return late;
}

it('a settle that failed is told again until the database takes it (F21)', async () => {
  const { away, link, reserve, used } = await scene();
  for (const id of ['r', 's']) await reserve(id);
  link.cut();
  const answers = [await failing(away, 'r'), await failing(away, 's')];
  expect(await used()).toEqual({ committed: 0, held: 2 });
  link.restore();
  await waitUntil('both are settled', () => answers.every(({ length }) => length > 0));
  expect(answers).toEqual([[settled], [settled]]);
  expect(await used()).toEqual({ committed: 2, held: 0 });
});

it('what settles came to late is never told in the context of another request', async () => {
  const request = new AsyncLocalStorage<string>();
  const heard: (string | undefined)[] = [];
  const onLateAnswer = () => heard.push(request.getStore());
  let isAway = true;
  const settles = createLateSettles(async () => {
    if (isAway) throw new TollgateError('quota_unavailable');
    return { outcome: 'settled', late: false, overLimit: false };
  }, 60_000);
  onTestFinished(() => settles.close(0));
  for (const org of ['acme', 'globex']) {
    const late = { ...reservation('r'), org, as: 'commit', onLateAnswer } as const;
    request.run(org, () => settles.add(late, new TollgateError('quota_unavailable'), { mayBeDone: false }));
  }
  isAway = false;
  await waitUntil('both are told', () => heard.length === 2);
  expect(heard).toEqual([undefined, undefined]);
});

it('one whose reply was lost is counted once, and told to have been settled (F21, Q3)', async () => {
  const { away, link, reserve, used } = await scene();
  await reserve('r');
  link.dropReplies(true);
  const settling = failing(away, 'r');
  const late = await settling;
  // What it asked is open until the database has heard that nobody waits any more, or has done it.
  link.cut();
  link.restore();
  await waitUntil('it is settled', () => late.length > 0);
  expect(late).toEqual([settled]);
  expect(await used()).toEqual({ committed: 1, held: 0 });
});

it('one that was done all the same is not done again (F21, Q3)', async () => {
  const { away, replies, reserve, used } = await scene();
  await reserve('r');
  replies.lostTo = 'commit';
  const late = await failing(away, 'r');
  replies.lostTo = null;
  await waitUntil('it is answered', () => late.length > 0);
  expect(late).toEqual([settled]);
  expect(await used()).toEqual({ committed: 1, held: 0 });
});

it.each([
  ['heard of', 'begin'],
  ['was told to commit', 'with'],
])(
  'one that the database never %s, and whose reservation it lost, is told to be gone (Q8)',
  async (_what, lostTo) => {
    const { away, replies, pool, schema, reserve } = await scene();
    await reserve('r');
    replies.lostTo = lostTo;
    const late = await failing(away, 'r');
    // A standby was promoted that had not been told of it yet.
    await pool.query(`delete from ${schema}.reservations`);
    replies.lostTo = null;
    await waitUntil('it is answered', () => late.length > 0);
    expect(late).toEqual([{ outcome: 'gone' }]);
  },
);

it('orgs that cannot be written hold up no other, however many they are (F22)', async () => {
  const { away, here, link, pool, schema } = await scene();
  const orgs = ['a', 'b', 'c', 'd'];
  for (const org of orgs) await here.beginRecount({ org, counters: [OPENS] });
  const answered: string[] = [];
  const settling = async (org: string) => {
    const onLateAnswer = () => answered.push(org);
    const settle = away.settle({ ...reservation('r'), org, as: 'commit', onLateAnswer });
    await expect(settle).rejects.toEqual(unavailable);
  };
  link.cut();
  for (const org of orgs) await settling(org);
  const locked = await pool.connect();
  await locked.query(`begin; select * from ${schema}.counter_orgs for update`);
  await settling('free');
  link.restore();
  await waitUntil('the free one is answered', () => answered.includes('free'), { timeoutMs: 15_000 });
  expect(answered).toEqual(['free']);
  await locked.query('rollback');
  locked.release();
  await waitUntil('all are', () => answered.length === 5, { timeoutMs: 15_000 });
}, 40_000);

it('closing ends the round that is under way', async () => {
  const answers: ((outcome: SettleOutcome) => void)[] = [];
  const late = createLateSettles(() => new Promise((resolve) => answers.push(resolve)), 60_000);
  const failure = new TollgateError('quota_unavailable');
  for (const id of ['r', 's']) late.add({ ...reservation(id), as: 'commit' }, failure, { mayBeDone: false });
  await waitUntil('the first is told', () => answers.length === 1);
  const closing = late.close(0);
  answers[0]?.({ outcome: 'settled', late: false, overLimit: false });
  await closing;
  expect(answers).toHaveLength(1);
});

it('a round tells each org once that cannot be written, and all that can, whatever stands before them (F22)', async () => {
  const told: string[] = [];
  const late = createLateSettles(async ({ org }) => {
    told.push(org);
    if (org.startsWith('locked')) throw new TollgateError('quota_unavailable');
    return { outcome: 'settled', late: false, overLimit: false };
  }, 60_000);
  const failure = new TollgateError('quota_unavailable');
  const orgs = ['locked 1', 'free 1', 'locked 2', 'free 2', 'locked 3', 'free 3'];
  for (const org of ['locked 1', 'locked 1', 'locked 1', ...orgs])
    late.add({ ...reservation('r'), org, as: 'commit' }, failure, { mayBeDone: false });
  await late.close(1_000);
  expect(told).toEqual(orgs);
});

it('one that may be done and is gone was done, unless its id is remembered: then it is lost, and no more told once it may be another’s (Q3)', async () => {
  const told: (readonly [string, SettleOutcome])[] = [];
  const late = createLateSettles(async () => ({ outcome: 'gone' }), 60_000);
  for (const [id, rememberMs] of [
    ['own', 0],
    ['remembered', 60_000],
    ['forgotten', 1],
  ] as const) {
    const onLateAnswer = (outcome: SettleOutcome) => told.push([id, outcome]);
    const request = { ...reservation(id), rememberMs, as: 'commit', onLateAnswer } as const;
    late.add(request, new TollgateError('quota_unavailable'), { mayBeDone: true });
  }
  const addedAt = performance.now();
  await waitUntil('one is forgotten', () => performance.now() > addedAt + 1, { everyMs: 1 });
  await late.close(1_000);
  expect(told).toEqual([
    ['own', settled],
    ['remembered', { outcome: 'gone' }],
  ]);
});

it('what can never be done is not told again, and a store that is closed tells the rest once more', async () => {
  const { away, link, reserve, used } = await scene();
  await reserve('r');
  await expect(away.settle({ ...reservation('r'), as: 'commit', amounts: [2] })).rejects.toMatchObject({
    code: 'invalid_amount',
  });
  link.cut();
  const late = await failing(away, 'r');
  link.restore();
  await away.close();
  expect(late).toEqual([settled]);
  expect(await used()).toEqual({ committed: 1, held: 0 });
});

it('it is told again for as long as the store would know it (F21)', async () => {
  const { away, here, link, reserve, used } = await scene({ lapsedKeepMs: 1 });
  await reserve('r');
  link.cut();
  const late = await failing(away, 'r');
  link.restore();
  // Another that fails later, and is told again after it.
  await here.settle({ ...reservation('r'), as: 'release' });
  await away.close();
  expect(late).toEqual([]);
  expect(await used()).toEqual({ committed: 0, held: 0 });
});

it('a store that is closed sends what is on its way: settles of an org that wait for each other as well', async () => {
  const { away, reserve, used } = await scene({ timeoutMs: 10_000 });
  const ids = Array.from({ length: 8 }, (_, index) => `${index}`);
  for (const id of ids) await reserve(id);
  const settling = ids.map((id) => away.settle({ ...reservation(id), as: 'commit' }));
  await away.close();
  expect(await Promise.all(settling)).toEqual(ids.map(() => settled));
  expect(await used()).toEqual({ committed: ids.length, held: 0 });
});
