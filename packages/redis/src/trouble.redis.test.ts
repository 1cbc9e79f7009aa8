import { expect, it, vi } from 'vitest';
import { type RedisServer, waitUntil } from '../../../test/support/services.ts';
import { charge, count, DEVICES, read, reservation, reserve, settle, timed } from './faults.test-support.ts';
import { answers, clientWhoseCalls, plain, proxied, server, store } from './outage-scene.test-support.ts';

it('every caller is answered in time when Redis falls silent after it answered one batch of two (F11, Q13)', async () => {
  const redis = await server();
  let calls = 0;
  let isInjured = false;
  let answerFirst = () => {};
  const first = new Promise<void>((resolve) => {
    answerFirst = resolve;
  });
  const client = clientWhoseCalls(redis, async (send) => {
    if (!isInjured) return await send();
    calls += 1;
    if (calls > 1) return await new Promise(() => {});
    await first;
    return await send();
  });
  const counters = store({ client, timeoutMs: 200 });
  await count(counters, 0);
  isInjured = true;
  const one = timed(() => read(counters));
  await waitUntil('it is on its way', () => calls === 1, { everyMs: 1 });
  const eight = Array.from({ length: 8 }, () => timed(() => read(counters)));
  await waitUntil('a larger batch is on its way beside it', () => calls === 2, { everyMs: 1 });
  answerFirst();
  expect((await one).result).toMatchObject({ committed: 0 });
  for (const { result } of await Promise.all(eight)) expect(result).toBe('quota_unavailable');
  for (let asked = 0; asked < 3; asked += 1) {
    const { result, ms } = await timed(() => read(counters));
    expect(result).toBe('quota_unavailable');
    expect(ms).toBeLessThan(1_000);
  }
});

it.each([
  ['cut', [0xcf]],
  ['of a text', [0xa1, 0x78]],
  ['of a server without a name', [0x01, 0xc3]],
])(
  'a damaged epoch, %s, is as good as none: everything is counted anew, and Redis is not asked without end (F19, Q9)',
  async (_how, bytes) => {
    const redis = await server();
    const counters = store({ url: redis.url });
    const client = plain(redis);
    await count(counters, 3);
    await client.set('{tg}e', Buffer.from(bytes));
    expect(await read(counters)).toBeNull();
    await count(counters, 3);
    expect(await read(counters)).toMatchObject({ committed: 3 });
  },
);

it('a server that falls silent while it is greeted is greeted anew (F11)', async () => {
  const redis = await server();
  const proxy = await proxied(redis);
  proxy.delay(Number.POSITIVE_INFINITY);
  const counters = store({ url: proxy.url, timeoutMs: 200 });
  expect((await timed(() => read(counters))).result).toBe('quota_unavailable');
  await waitUntil('the greeting is lost', () => proxy.connectionCount > 0);
  proxy.restore();
  await answers(counters);
});

it('an adjustment beside what cannot be decided is not remembered before it is made (F19, Q4)', async () => {
  const redis = await server();
  const counters = store({ url: redis.url });
  const client = plain(redis);
  await count(counters, 5);
  await client.hset('{tg}:acme', 'seats', Buffer.from([0xcf]));
  const adjustments = [{ ...DEVICES, amount: 3, change: 'charged', forgetAt: null }] as const;
  const adjust = () => counters.adjust({ org: 'acme', id: 'buy', adjustments, rememberMs: 60_000 });
  const seat = { charges: [charge({ key: 'seats' })] };
  const both = await Promise.all([timed(adjust), timed(() => reserve(counters, 's1', seat))]);
  expect(both.map(({ result }) => result)).toEqual(['quota_unavailable', 'quota_unavailable']);
  await waitUntil('it is told again and made', async () => (await read(counters))?.committed === 8);
  expect((await timed(adjust)).result).toEqual({ missing: [], repeated: true });
  expect(await read(counters)).toMatchObject({ committed: 8 });
});

it('an adjustment that is told twice in one batch is made once', async () => {
  const redis = await server();
  const counters = store({ url: redis.url });
  await count(counters, 5);
  const adjustments = [{ ...DEVICES, amount: 3, change: 'charged', forgetAt: null }] as const;
  const adjust = () => counters.adjust({ org: 'acme', id: 'buy', adjustments, rememberMs: 60_000 });
  const answers = await Promise.all([adjust(), adjust()]);
  expect(answers.map(({ repeated }) => repeated)).toEqual([false, true]);
  expect(await read(counters)).toMatchObject({ committed: 8 });
});

it('a batch that can only be run into an error is given up, reported, and not asked for again (F19)', async () => {
  const redis = await server();
  const errors: string[] = [];
  const logger = { debug() {}, info() {}, warn() {}, error: (message: string) => errors.push(message) };
  const counted: [string, number][] = [];
  const telemetry = { count: (metric: string, value: number) => counted.push([metric, value]) };
  let calls = 0;
  let isBroken = false;
  const client = clientWhoseCalls(redis, async (send) => {
    calls += 1;
    if (isBroken) throw new Error('ERR Error running script: a fault of ours');
    return await send();
  });
  const counters = store({ client, logger, telemetry });
  await count(counters, 3);
  isBroken = true;
  const before = calls;
  for (let asked = 0; asked < 3; asked += 1) {
    expect((await timed(() => read(counters))).result).toBe('quota_unavailable');
  }
  expect((await timed(() => settle(counters, 'r', 'commit'))).result).toBe('quota_unavailable');
  isBroken = false;
  expect(await read(counters)).toMatchObject({ committed: 3 });
  expect(calls - before).toBe(5);
  expect(errors).toEqual(Array(4).fill('redis cannot run a batch of operations: it is given up'));
  expect(counted).toEqual([['tollgate.given_up', 1]]);
});

it('while Redis is gone a batch waits once, however often it is looked after (F9)', async () => {
  const redis = await server();
  let calls = 0;
  const client = clientWhoseCalls(redis, (send) => {
    calls += 1;
    return send();
  });
  const timeoutMs = 200;
  const counters = store({ client, timeoutMs });
  await count(counters, 0);
  await redis.kill('SIGKILL');
  calls = 0;
  expect((await timed(() => read(counters))).result).toBe('quota_unavailable');
  const now = performance.now.bind(performance);
  const toldAt = now();
  // Seconds pass while it is looked after.
  vi.spyOn(performance, 'now').mockImplementation(() => now() + Math.min(8_000, (now() - toldAt) * 40));
  await waitUntil('it was looked after again and again', () => now() - toldAt > 5 * timeoutMs);
  vi.restoreAllMocks();
  expect(calls).toBe(1);
});

it('a server that is back is looked at with the next batch, however short it was away (F16)', async () => {
  const redis = await server();
  let isAway = false;
  const looks: boolean[] = [];
  const client = clientWhoseCalls(redis, async (send, values) => {
    if (isAway) throw new Error('LOADING Redis is loading the dataset in memory');
    looks.push(JSON.parse(String(values.at(-1)))[4]);
    return await send();
  });
  const counters = store({ client });
  await count(counters, 3);
  isAway = true;
  expect((await timed(() => read(counters))).result).toBe('quota_unavailable');
  isAway = false;
  looks.length = 0;
  await answers(counters);
  await read(counters);
  // The one that was refused is told again as it was.
  expect(looks.slice(0, 2)).toEqual([false, true]);
});

it('a loss is told of once, and none where a store begins (F10)', async () => {
  const redis = await server();
  const lost: string[] = [];
  const telemetry = { count: (metric: string) => void lost.push(metric) };
  const counters = store({ url: redis.url, telemetry });
  await count(counters, 3);
  expect(lost).toEqual([]);
  await plain(redis).flushall();
  expect(await read(counters)).toBeNull();
  await count(counters, 3);
  expect(lost).toEqual(['tollgate.store_lost']);
});

it('a commit does not wait for the answer to what was asked beside it', async () => {
  const redis = await server();
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const client = clientWhoseCalls(redis, async (send, values) => {
    if (values.some((value) => String(value).includes('"slow"'))) await answered;
    return await send();
  });
  const counters = store({ client });
  for (const org of ['acme', 'other']) await count(counters, 0, org);
  await reserve(counters, 'r');
  const slow = reserve(counters, 'slow', { org: 'other' });
  const committed = new Promise((settled, failed) =>
    counters.settleUnawaited?.(reservation('r'), 'commit', { settled, failed }),
  );
  expect(await committed).toEqual({ outcome: 'settled', late: false, overLimit: false });
  answer();
  expect(await slow).toMatchObject({ outcome: 'reserved' });
});

/** A client whose batches that name an id beginning with `id` fail with a message once `refuse` is called; `times` counts them. */
function clientRefusing(redis: RedisServer, id: string, message: string) {
  let refuse = () => {};
  const refused = new Promise<void>((resolve) => {
    refuse = resolve;
  });
  const refusal = { times: 0, isOver: false, refuse: () => refuse() };
  const client = clientWhoseCalls(redis, async (send, values) => {
    if (refusal.isOver || !values.some((value) => String(value).includes(`"${id}`))) return await send();
    refusal.times += 1;
    await refused;
    throw new Error(message);
  });
  return { client, refusal };
}

const TRY_AGAIN = 'TRYAGAIN Multiple keys request during rehashing of slot';

it('what waits behind a batch that is given up goes at once (F19)', async () => {
  const redis = await server();
  const { client, refusal } = clientRefusing(redis, 'broken', 'ERR Error running script: a fault of ours');
  const counters = store({ client });
  await count(counters, 3);
  const given = ['broken', 'beside', 'it'].map((id) => timed(() => reserve(counters, id)));
  await waitUntil('they are on their way', () => refusal.times > 0, { everyMs: 1 });
  const behind = read(counters);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  refusal.refuse();
  expect(await behind).toMatchObject({ committed: 3, held: 0 });
  for (const { result } of await Promise.all(given)) expect(result).toBe('quota_unavailable');
});

it("a batch that Redis refuses again and again, while it serves others, is in nobody else's way (F18, Q13)", async () => {
  const redis = await server();
  const { client, refusal } = clientRefusing(redis, 'refused', TRY_AGAIN);
  const told: string[] = [];
  const error = (message: string) => told.push(message);
  const counters = store({ client, logger: { debug() {}, info() {}, warn() {}, error } });
  await count(counters, 3);
  const bad = timed(() => reserve(counters, 'refused'));
  await waitUntil('it is on its way', () => refusal.times === 1, { everyMs: 1 });
  await read(counters, 'other');
  refusal.refuse();
  expect((await bad).result).toBe('quota_unavailable');
  await waitUntil('it is told again and again', async () => {
    await read(counters, 'other');
    return refusal.times > 4;
  });
  expect(told).toEqual([]);
  refusal.isOver = true;
  await waitUntil('it is undone', async () => (await plain(redis).exists('{tg}:acme|l')) === 0);
  expect(await read(counters)).toMatchObject({ committed: 3, held: 0 });
});

it('a few that wait behind a large batch go once Redis refuses that and serves others (F18, Q13)', async () => {
  const redis = await server();
  const { client, refusal } = clientRefusing(redis, 'refused-', TRY_AGAIN);
  const counters = store({ client });
  const bad = Array.from({ length: 20 }, (_, index) => timed(() => reserve(counters, `refused-${index}`)));
  await waitUntil('they are on their way', () => refusal.times > 0, { everyMs: 1 });
  await Promise.all(Array.from({ length: 10 }, (_, index) => read(counters, `other-${index}`)));
  const few = read(counters, 'few');
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  refusal.refuse();
  expect(await few).toBeNull();
  for (const { result } of await Promise.all(bad)) expect(result).toBe('quota_unavailable');
});

it('units that no lease holds any more are free with the next recount (F18, Q8)', async () => {
  const redis = await server();
  const counters = store({ url: redis.url });
  await count(counters, 1);
  for (const id of ['kept', 'lost']) await reserve(counters, id);
  await plain(redis).hdel('{tg}:acme|l', 'lost');
  expect(await read(counters)).toMatchObject({ committed: 1, held: 2 });
  await count(counters, 1);
  expect(await read(counters)).toMatchObject({ committed: 1, held: 1, uncertain: 0 });
});

it('a user who may not ask for INFO is served, and still when that is taken away (F18)', async () => {
  const redis = await server();
  const admin = plain(redis);
  await admin.acl('SETUSER', 'gate', 'on', '>secret', '~*', '+@all', '-info');
  const counters = store({ url: redis.url.replace('//', '//gate:secret@') });
  await count(counters, 3);
  expect(await read(counters)).toMatchObject({ committed: 3 });
  await admin.config('RESETSTAT');
  for (let asked = 0; asked < 20; asked += 1) await read(counters);
  const tried = /cmdstat_info:.*rejected_calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0;
  expect(Number(tried)).toBeLessThan(3);
  await admin.acl('SETUSER', 'other', 'on', '>secret', '~*', '+@all');
  const before = store({ url: redis.url.replace('//', '//other:secret@') });
  expect(await read(before)).toMatchObject({ committed: 3 });
  await admin.acl('SETUSER', 'other', '-info');
  const startedAt = performance.now();
  await waitUntil('the server was to be looked at again', async () => {
    expect(await read(before)).toMatchObject({ committed: 3 });
    return performance.now() - startedAt > 1_200;
  });
});

it('a user who lacks one right of those it takes writes nothing, the log names it, and all is well once it is given (F17, Q2)', async () => {
  const redis = await server();
  const admin = plain(redis);
  const rights = ['+@read', '+@write', '+@scripting', '+@connection', '+time', '+info'];
  const taken = 'pexpire get exists set del hget hmget hgetall hlen hset hdel pexpiretime persist'.split(' ');
  await admin.acl('SETUSER', 'gate', 'on', '>secret', '~{tg*', ...rights);
  for (const command of taken) {
    await admin.acl('SETUSER', 'gate', `-${command}`);
    const told: string[] = [];
    const error = (_message: string, details?: { error?: unknown }) => told.push(String(details?.error));
    const logger = { debug() {}, info() {}, warn() {}, error };
    const counters = store({ url: redis.url.replace('//', '//gate:secret@'), logger });
    expect((await timed(() => count(counters, 0))).result).toBe('quota_unavailable');
    expect(await admin.keys('*')).toEqual([]);
    expect(told.join()).toContain(`may not run ${command.toUpperCase()}`);
    await admin.acl('SETUSER', 'gate', `+${command}`);
    await answers(counters);
    await count(counters, 0);
    await reserve(counters, 'r');
    expect(await read(counters)).toMatchObject({ held: 1 });
    await counters.close();
    await admin.flushall();
  }
});

it('a right that is taken away while the store runs is named soon (F17)', async () => {
  const redis = await server();
  const admin = plain(redis);
  await admin.acl('SETUSER', 'gate', 'on', '>secret', '~*', '+@all');
  const told: string[] = [];
  const error = (_message: string, details?: { error?: unknown }) => told.push(String(details?.error));
  const logger = { debug() {}, info() {}, warn() {}, error };
  const counters = store({ url: redis.url.replace('//', '//gate:secret@'), logger });
  await count(counters, 3);
  await admin.acl('SETUSER', 'gate', '-hdel');
  await waitUntil('it is named', async () => {
    await read(counters).catch(() => {});
    return told.join().includes('may not run HDEL');
  });
  await admin.acl('SETUSER', 'gate', '+hdel');
  await answers(counters);
  expect(await read(counters)).toMatchObject({ committed: 3 });
});

it("a logger or a telemetry of the host's that throws is in nobody's way (F11, Q13)", async () => {
  const redis = await server();
  const fails = () => {
    throw new Error("a fault of the host's");
  };
  const logger = { debug: fails, info: fails, warn: fails, error: fails };
  const counters = store({ url: redis.url, timeoutMs: 200, logger, telemetry: { count: fails } });
  await count(counters, 0);
  await redis.kill('SIGSTOP');
  const asked = Array.from({ length: 3 }, (_, index) => timed(() => reserve(counters, `r-${index}`)));
  for (const { result } of await Promise.all(asked)) expect(result).toBe('quota_unavailable');
  await redis.kill('SIGCONT');
  await waitUntil('it serves again', async () => (await read(counters).catch(() => null))?.committed === 0);
});

it('a logger whose methods cannot be replaced, or are replaced later, is told (F11)', async () => {
  const redis = await server();
  const told: string[] = [];
  const silent = () => {};
  const frozen = Object.freeze({
    debug: silent,
    info: silent,
    warn: silent,
    error: () => told.push('frozen'),
  });
  const changing = { debug: silent, info: silent, warn: silent, error: silent };
  const stores = [frozen, changing].map((logger) => store({ url: redis.url, timeoutMs: 200, logger }));
  for (const one of stores) await count(one, 0);
  changing.error = () => told.push('changed');
  await redis.kill('SIGSTOP');
  for (const one of stores) expect((await timed(() => read(one))).result).toBe('quota_unavailable');
  expect(told).toEqual(['frozen', 'changed']);
  await redis.kill('SIGCONT');
});

it('nobody is refused because this process stood still: Redis had answered (Q13)', async () => {
  const redis = await server();
  const timeoutMs = 200;
  const counters = store({ url: redis.url, timeoutMs });
  await count(counters, 0);
  const charges = [charge({ limit: null })];
  const outcomes = new Map<string, number>();
  let isOver = false;
  const workers = Array.from({ length: 50 }, async (_, worker) => {
    for (let turn = 0; !isOver; turn += 1) {
      const { result } = await timed(() => reserve(counters, `${worker}-${turn}`, { charges }));
      const outcome = typeof result === 'string' ? result : result.outcome;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  });
  for (let stall = 1; stall <= 3; stall += 1) {
    const before = outcomes.get('reserved') ?? 0;
    await waitUntil('creates go on', () => (outcomes.get('reserved') ?? 0) > before + 500, { everyMs: 1 });
    const until = performance.now() + timeoutMs + 50;
    while (performance.now() < until);
  }
  isOver = true;
  await Promise.all(workers);
  expect([...outcomes.keys()]).toEqual(['reserved']);
});
