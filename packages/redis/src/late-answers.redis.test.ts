import type { SettleOutcome } from '@tollgate/core';
import { expect, it, vi } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { charge, count, DEVICES, read, reservation, reserve, settle } from './faults.test-support.ts';
import { answers, clientWhoseCalls, endings, plain, server, store } from './outage-scene.test-support.ts';
import { OPERATION } from './protocol.ts';
import { openRedisCounterStore } from './redis-counter-store.ts';

const KEEPS = ['--appendonly', 'yes', '--appendfsync', 'always'];
const timeoutMs = 200;
const REASSERT = `,0,${OPERATION.reassert},`;
/** So long after it was sent, a batch is not sent again. */
const GIVEN_UP_MS = 61_000;

it.each([
  ['nothing', [], 0, { outcome: 'gone' }],
  ['nothing', [], GIVEN_UP_MS, { outcome: 'gone' }],
  ['its data', KEEPS, 0, { outcome: 'settled', late: false, overLimit: false }],
  ['its data', KEEPS, GIVEN_UP_MS, { outcome: 'settled', late: false, overLimit: false }],
] as const)(
  'settles that failed are told their answers when Redis is back with %s (F10)',
  async (_what, args, awayMs, expected) => {
    const redis = await server({ args: [...args] });
    const counters = store({ url: redis.url, timeoutMs });
    await count(counters, 0);
    await reserve(counters, 'r');
    await reserve(counters, 's');
    await redis.kill('SIGKILL');

    const answers: SettleOutcome[] = [];
    const onLateAnswer = (outcome: SettleOutcome) => answers.push(outcome);
    const settled = counters.settle({ ...reservation('r'), as: 'commit', onLateAnswer });
    const unawaited = new Promise((_resolve, failed) =>
      counters.settleUnawaited?.(reservation('s'), 'commit', { settled: onLateAnswer, failed }),
    );
    for (const failure of [settled, unawaited])
      await expect(failure).rejects.toMatchObject({ code: 'quota_unavailable' });
    const now = performance.now.bind(performance);
    const toldAt = now();
    vi.spyOn(performance, 'now').mockImplementation(() => now() + awayMs);
    await waitUntil('it was looked after again', () => now() - toldAt > 3 * timeoutMs);
    await server({ port: redis.port, dir: redis.dir, args: [...args] });
    await waitUntil('the answers are told', () => answers.length > 1);
    expect(answers).toEqual([expected, expected]);
  },
);

it('what was given back in an outage is free for the first create after it, whichever batch is answered first (F9)', async () => {
  const redis = await server();
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  let isAway = false;
  let refused = 0;
  const client = clientWhoseCalls(redis, async (send, values) => {
    if (!isAway) return await send();
    if (values.some((value) => String(value).includes('"r"'))) {
      refused += 1;
      throw new Error('LOADING Redis is loading the dataset in memory');
    }
    await answered;
    return await send();
  });
  const counters = store({ client, timeoutMs: 500 });
  const charges = [charge({ limit: 1 })];
  await count(counters, 0);
  await reserve(counters, 'r', { charges });
  isAway = true;
  const reading = read(counters).catch(() => null);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  await expect(settle(counters, 'r', 'release', { charges })).rejects.toMatchObject({
    code: 'quota_unavailable',
  });
  expect(await reading).toBeNull();
  await waitUntil('it is told again but now and then', () => refused > 5, { everyMs: 1 });
  isAway = false;
  answer();
  await answers(counters);
  expect(await reserve(counters, 'next', { charges })).toMatchObject({ outcome: 'reserved' });
});

it.each(['awaited', 'unawaited'] as const)(
  'what was settled, %s, is not made known again to a store that lost it (F10)',
  async (how) => {
    const redis = await server();
    const counters = store({ url: redis.url });
    await count(counters, 0);
    await reserve(counters, 'r');
    await reserve(counters, 'running');
    if (how === 'awaited') await settle(counters, 'r', 'commit');
    else
      await new Promise((settled, failed) =>
        counters.settleUnawaited?.(reservation('r'), 'commit', { settled, failed }),
      );
    await plain(redis).flushall();
    await count(counters, 1);
    expect(await read(counters)).toMatchObject({ committed: 1, held: 1 });
  },
);

it('what was settled before it was made known again, in another batch, is not held (F10, Q5)', async () => {
  const redis = await server();
  const sent: string[] = [];
  let pass = () => {};
  const passed = new Promise<void>((resolve) => {
    pass = resolve;
  });
  const client = clientWhoseCalls(redis, async (send, values) => {
    const isFirst = sent.length === 0 && values.some((value) => String(value).includes(REASSERT));
    if (isFirst) {
      sent.push('kept back');
      await passed;
    }
    return await send();
  });
  const counters = store({ client });
  await count(counters, 0);
  await reserve(counters, 'r');
  await plain(redis).flushall();
  const counting = counters.beginRecount({ org: 'acme', counters: [DEVICES] });
  await waitUntil('it is being made known again', () => sent.length > 0);
  expect(await settle(counters, 'r', 'commit')).toEqual({ outcome: 'gone' });
  pass();
  const tokens = await counting;
  await counters.finishRecount({
    org: 'acme',
    counts: tokens.map((token) => ({ ...token, count: 1, forgetAt: null })),
  });
  await waitUntil('nothing is held', async () => (await read(counters))?.held === 0, { timeoutMs: 2_000 });
  expect(await read(counters)).toMatchObject({ committed: 1, held: 0, uncertain: 0 });
});

it('what runs in another process is held again with its next renewal when its org alone was lost (F10, Q1)', async () => {
  const redis = await server();
  const [runs, counts] = [store({ url: redis.url }), store({ url: redis.url })];
  const client = plain(redis);
  await count(runs, 0);
  await reserve(runs, 'r');
  await client.del(await client.keys('{tg}:acme*'));
  await count(counts, 0);
  expect(await read(counts)).toMatchObject({ committed: 0, held: 0 });
  const leases = ['r', 'never made'].map((id) => ({ org: 'acme', id }));
  expect(await runs.renew({ leases, leaseMs: 30_000 })).toEqual([true, false]);
  expect(await read(counts)).toMatchObject({ committed: 0, held: 1, uncertain: 0 });
  // Whether the count saw its row is not known.
  expect(await settle(runs, 'r', 'commit')).toEqual({ outcome: 'settled', late: false, overLimit: false });
  expect(await read(counts)).toMatchObject({ committed: 0, held: 0, uncertain: 1 });
});

it('what was renewed is made known again after its first lease would have ended (F10, Q6)', async () => {
  const redis = await server();
  let now = Date.now();
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const counters = openRedisCounterStore(
    { url: redis.url, gatherMs: 0, timeoutMs: 2_000, logger },
    { clock: () => now },
  );
  endings.push(() => counters.close());
  await count(counters, 0);
  await reserve(counters, 'r', { leaseMs: 1_000 });
  now += 900;
  const leases = [{ org: 'acme', id: 'r' }];
  expect(await counters.renew({ leases, leaseMs: 1_000 })).toEqual([true]);
  now += 900;
  await plain(redis).flushall();
  await count(counters, 0);
  expect(await read(counters)).toMatchObject({ committed: 0, held: 1 });
});

it('a renewal brings nothing back that was settled elsewhere, or here meanwhile, or has lapsed (Q4, Q5)', async () => {
  const redis = await server();
  const [runs, other] = [store({ url: redis.url }), store({ url: redis.url })];
  await count(runs, 0);
  for (const id of ['elsewhere', 'here']) await reserve(runs, id);
  await reserve(runs, 'lapsed', { leaseMs: 20 });
  await settle(other, 'elsewhere', 'commit', { rememberMs: 60_000 });
  await waitUntil('one has lapsed', async () => (await read(other))?.uncertain === 1, { everyMs: 5 });
  const settled = settle(runs, 'here', 'release');
  const leases = ['elsewhere', 'here', 'lapsed'].map((id) => ({ org: 'acme', id }));
  expect(await runs.renew({ leases, leaseMs: 30_000 })).toEqual([false, false, false]);
  await settled;
  expect(await read(other)).toMatchObject({ committed: 1, held: 0, uncertain: 1 });
});
