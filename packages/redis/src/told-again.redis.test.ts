import type { SettleOutcome } from '@tollgate/core';
import { expect, it, vi } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { count, DEVICES, read, reservation, reserve, settle } from './faults.test-support.ts';
import { clientWhoseCalls, plain, server, store } from './outage-scene.test-support.ts';
import { OPERATION } from './protocol.ts';

const LEASES = '{tg}:acme|l';

/** Puts something foreign where the leases are; answers what puts them back. */
async function damage(redis: Awaited<ReturnType<typeof server>>) {
  const client = plain(redis);
  await client.rename(LEASES, '{tg}aside');
  await client.set(LEASES, 'x');
  return () => client.rename('{tg}aside', LEASES);
}

it('a settle of an org that cannot be read is told again until it can (F18, F19)', async () => {
  const redis = await server();
  const counters = store({ url: redis.url });
  await count(counters, 0);
  await reserve(counters, 'r');
  const heal = await damage(redis);
  const late: SettleOutcome[] = [];
  const settling = counters.settle({
    ...reservation('r'),
    as: 'commit',
    onLateAnswer: (outcome) => late.push(outcome),
  });
  await expect(settling).rejects.toMatchObject({ code: 'quota_unavailable' });
  await heal();
  await waitUntil('it is settled', () => late.length > 0);
  expect(late).toEqual([{ outcome: 'settled', late: false, overLimit: false }]);
  expect(await read(counters)).toMatchObject({ committed: 1, held: 0, uncertain: 0 });
});

it('what its caller may ask for again is not: a create, a read, a delete without an id (F19)', async () => {
  const redis = await server();
  const sent: string[] = [];
  const client = clientWhoseCalls(redis, (send, values) => {
    sent.push(values.join());
    return send();
  });
  const counters = store({ client });
  await count(counters, 3);
  await reserve(counters, 'kept');
  const heal = await damage(redis);
  const refused = expect.objectContaining({ code: 'quota_unavailable' });
  await expect(reserve(counters, 'another')).rejects.toEqual(refused);
  await expect(read(counters)).rejects.toEqual(refused);
  const adjustments = [{ ...DEVICES, amount: 2, change: 'refunded', forgetAt: null } as const];
  await expect(counters.adjust({ org: 'acme', adjustments })).rejects.toEqual(refused);
  await expect(settle(counters, 'kept', 'release')).rejects.toEqual(refused);
  sent.length = 0;
  await waitUntil(
    'the settle is told again and again',
    () => sent.filter((one) => one.includes('"kept"')).length > 3,
  );
  expect(sent.filter((one) => one.includes('"another"') || one.includes(`,0,${OPERATION.adjust},`))).toEqual(
    [],
  );
  await heal();
  await waitUntil('what was held is given back', async () => (await read(counters))?.held === 0);
  expect(await read(counters)).toMatchObject({ committed: 3, held: 0, uncertain: 0 });
});

it('it is told again for a minute, and then counted as given up (F19)', async () => {
  const redis = await server();
  const counted: [string, number][] = [];
  const telemetry = { count: (metric: string, value: number) => counted.push([metric, value]) };
  const told = { first: 0, later: 0 };
  const client = clientWhoseCalls(redis, (send, values) => {
    for (const id of ['first', 'later'] as const)
      if (values.some((value) => String(value).includes(`"${id}"`))) told[id] += 1;
    return send();
  });
  const counters = store({ client, telemetry });
  await count(counters, 0);
  for (const id of ['first', 'later']) await reserve(counters, id);
  await damage(redis);
  const refused = expect.objectContaining({ code: 'quota_unavailable' });
  await expect(settle(counters, 'first', 'commit')).rejects.toEqual(refused);
  told.first = 0;
  await waitUntil('it is told again and again', () => told.first > 2);
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 61_000);
  const before = told.first;
  await expect(settle(counters, 'later', 'commit')).rejects.toEqual(refused);
  told.later = 0;
  await waitUntil('another is told again and again', () => told.later > 5);
  vi.restoreAllMocks();
  expect(told.first).toBeLessThanOrEqual(before + 1);
  expect(counted).toEqual([['tollgate.given_up', 1]]);
});

it('a store that is closed tells it once more, at once (F19)', async () => {
  const redis = await server();
  let sent = 0;
  const client = clientWhoseCalls(redis, (send) => {
    sent += 1;
    return send();
  });
  const counters = store({ client });
  await count(counters, 0);
  await reserve(counters, 'r');
  const heal = await damage(redis);
  await expect(settle(counters, 'r', 'commit')).rejects.toMatchObject({ code: 'quota_unavailable' });
  const before = sent;
  const closing = counters.close();
  expect(sent).toBe(before + 1);
  await heal();
  await closing;
  expect(await read(store({ url: redis.url }))).toMatchObject({ committed: 1, held: 0 });
});

it('and counts what it could not tell by then as given up (F19)', async () => {
  const redis = await server();
  const counted: [string, number][] = [];
  const telemetry = { count: (metric: string, value: number) => counted.push([metric, value]) };
  const counters = store({ url: redis.url, timeoutMs: 550, telemetry });
  await count(counters, 0);
  await reserve(counters, 'r');
  await damage(redis);
  await expect(settle(counters, 'r', 'commit')).rejects.toMatchObject({ code: 'quota_unavailable' });
  await counters.close();
  expect(counted).toEqual([['tollgate.given_up', 1]]);
});
