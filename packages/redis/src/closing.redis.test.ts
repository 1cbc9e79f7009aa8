import { expect, it } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import {
  count,
  DEVICES,
  openStore,
  read,
  reservation,
  reserve,
  settle,
  timed,
} from './faults.test-support.ts';
import { clientWhoseCalls, server, store } from './outage-scene.test-support.ts';

it('close sends what is on its way (F33)', async () => {
  const redis = await server();
  const counters = openStore({ url: redis.url, timeoutMs: 2_000 });
  await count(counters, 0);
  const made = Array.from({ length: 100 }, (_, index) => `r-${index}`);
  await Promise.all(made.map((id) => reserve(counters, id)));
  const settling = made.map((id) => timed(() => settle(counters, id, 'commit')));
  await counters.close();
  for (const { result } of await Promise.all(settling)) expect(result).toMatchObject({ outcome: 'settled' });
  expect(await read(store({ url: redis.url }))).toMatchObject({ committed: 100, held: 0 });
  expect((await timed(() => read(counters))).result).toBe('quota_unavailable');
});

it('who closes a second time waits for what is on its way as well (F33)', async () => {
  const redis = await server();
  const counters = openStore({ url: redis.url, gatherMs: 1_000, timeoutMs: 2_000 });
  await count(counters, 0);
  await reserve(counters, 'r');
  const told: string[] = [];
  const settled = () => told.push('settled');
  counters.settleUnawaited?.(reservation('r'), 'commit', { settled, failed: () => told.push('failed') });
  void counters.close();
  await counters.close();
  expect(told).toEqual(['settled']);
});

it('close answers everybody while Redis is silent, and counts what it gives up (F11, F33, Q13)', async () => {
  const redis = await server();
  const counted = new Map<string, number>();
  const telemetry = {
    count: (metric: string, value: number) => counted.set(metric, (counted.get(metric) ?? 0) + value),
  };
  const counters = openStore({ url: redis.url, timeoutMs: 200, telemetry });
  await count(counters, 0);
  for (const id of ['a', 'b', 'c']) await reserve(counters, id);
  await redis.kill('SIGSTOP');
  const asked = [
    timed(() => settle(counters, 'a', 'commit')),
    timed(() => reserve(counters, 'd')),
    new Promise((settled, failed) =>
      counters.settleUnawaited?.(reservation('b'), 'commit', { settled, failed }),
    ).catch((error: { code: string }) => ({ result: error.code })),
  ];
  await new Promise(setImmediate);
  asked.push(timed(() => settle(counters, 'c', 'release')));
  const closed = timed(() => counters.close());
  for (const answer of await Promise.all(asked))
    expect(answer).toMatchObject({ result: 'quota_unavailable' });
  expect((await closed).ms).toBeLessThan(1_000);
  expect(counted.get('tollgate.given_up')).toBe(3);
});

it('of settles while Redis is silent 10,000 wait to be told again: more are refused and counted as given up (F11)', async () => {
  const redis = await server();
  let givenUp = 0;
  const telemetry = {
    count(metric: string, value: number) {
      if (metric === 'tollgate.given_up') givenUp += value;
    },
  };
  const counters = openStore({ url: redis.url, timeoutMs: 200, telemetry });
  await count(counters, 0);
  await redis.kill('SIGSTOP');
  const asked = Array.from({ length: 10_600 }, (_, index) =>
    timed(() => settle(counters, `r-${index}`, 'commit')),
  );
  for (const { result } of await Promise.all(asked)) expect(result).toBe('quota_unavailable');
  expect(givenUp).toBeGreaterThan(0);
  expect(givenUp).toBeLessThanOrEqual(600);
  await counters.close();
  expect(givenUp).toBe(10_600);
});

it('leases that are renewed again and again while Redis is silent leave room for what is asked once (F11)', async () => {
  const redis = await server();
  const counted: string[] = [];
  const counters = store({
    url: redis.url,
    timeoutMs: 200,
    telemetry: { count: (metric: string) => counted.push(metric) },
  });
  await count(counters, 0);
  await reserve(counters, 'r');
  const leases = Array.from({ length: 600 }, (_, index) => ({ org: 'acme', id: `running-${index}` }));
  await redis.kill('SIGSTOP');
  for (let beat = 0; beat < 20; beat += 1)
    await expect(counters.renew({ leases, leaseMs: 30_000 })).rejects.toMatchObject({
      code: 'quota_unavailable',
    });
  const adjustments = [{ ...DEVICES, amount: 3, change: 'charged', forgetAt: null }] as const;
  for (const id of ['one', 'other', 'other']) {
    const adjusted = timed(() => counters.adjust({ org: 'acme', id, adjustments, rememberMs: 60_000 }));
    expect((await adjusted).result).toBe('quota_unavailable');
  }
  expect((await timed(() => settle(counters, 'r', 'commit'))).result).toBe('quota_unavailable');
  await redis.kill('SIGCONT');
  await waitUntil('all is made good', async () => (await read(counters))?.committed === 7);
  expect(counted).not.toContain('tollgate.given_up');
});

it('nothing is sent behind close, and nobody is told of an outage then (F33)', async () => {
  const redis = await server();
  const timeoutMs = 200;
  const told: string[] = [];
  let answerFirst: (() => void) | undefined;
  let isHolding = false;
  let isClosed = false;
  const client = clientWhoseCalls(redis, async (send) => {
    if (isClosed) told.push('a batch');
    const reply = await send();
    if (isHolding)
      await new Promise<void>((resolve) => {
        answerFirst ??= resolve;
      });
    return reply;
  });
  const nothing = () => {};
  const error = (text: string) => isClosed && told.push(text);
  const logger = { debug: nothing, info: nothing, warn: nothing, error };
  const counters = openStore({ client, timeoutMs, logger });
  await count(counters, 0);
  isHolding = true;
  const settles = (org: (index: number) => string, times: number) =>
    Array.from({ length: times }, (_, index) =>
      timed(() => settle(counters, `r-${index}`, 'commit', { org: org(index) })),
    );
  const asked = settles(() => 'acme', 20);
  await waitUntil('the first batch is on its way', () => answerFirst !== undefined, { everyMs: 1 });
  const endsAt = performance.now() + timeoutMs;
  asked.push(...settles((index) => `org-${index}`, 520));
  const closing = counters.close().then(() => {
    isClosed = true;
  });
  await waitUntil('the second one is', () => performance.now() > endsAt - timeoutMs / 2, { everyMs: 1 });
  // It is answered in the very turn of the event loop after which close gives up.
  answerFirst?.();
  setImmediate(() => {
    while (performance.now() < endsAt + 5);
  });
  await closing;
  for (const { result } of await Promise.all(asked)) expect(result).toBeDefined();
  const closedAt = performance.now();
  await waitUntil('a while passes', () => performance.now() - closedAt > 300);
  expect(told).toEqual([]);
});

it('callers in a queue that Redis is too slow for are answered within twice the time-out (F11, Q13)', async () => {
  const redis = await server();
  const timeoutMs = 1_000;
  const client = clientWhoseCalls(redis, async (send) => {
    const reply = await send();
    await new Promise((resolve) => setTimeout(resolve, timeoutMs / 2));
    return reply;
  });
  const counters = openStore({ client, timeoutMs });
  const asked = Array.from({ length: 9_000 }, (_, index) =>
    timed(() => settle(counters, 'r', 'release', { org: `org-${index}` })),
  );
  const behind = timed(() => reserve(counters, 'behind them'));
  const answered = await Promise.all(asked);
  expect((await behind).result).toBe('quota_unavailable');
  expect(answered.filter(({ result }) => result !== 'quota_unavailable')).not.toHaveLength(0);
  // Nine rounds without it.
  expect(Math.max((await behind).ms, ...answered.map(({ ms }) => ms))).toBeLessThan(4 * timeoutMs);
  await counters.close();
});
