import { expect, it } from 'vitest';
import { count, openStore, read, reservation, reserve, settle, timed } from './faults.test-support.ts';
import { server, store } from './outage-scene.test-support.ts';

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
