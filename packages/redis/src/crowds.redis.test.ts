import { expect, it } from 'vitest';
import { count, read, reservation, reserve } from './faults.test-support.ts';
import { clientWhoseCalls, plain, server, store } from './outage-scene.test-support.ts';

const READ = { counters: [{ key: 'devices', window: 'lifetime' }] };

async function crowd(hashTags = 1) {
  const redis = await server();
  /** Answers are handed on when `until` has come. */
  const sent = { batches: 0, keys: [] as number[], until: Promise.resolve() };
  const client = clientWhoseCalls(redis, async (send, [, , keys]) => {
    sent.batches += 1;
    sent.keys.push(Number(keys));
    const { until } = sent;
    const answer = await send();
    await until;
    return answer;
  });
  const counters = store({ client, hashTags });
  await read(counters);
  /** Asks for so many orgs' counters, and answers how many batches had left before this turn of the event loop ended. */
  async function ask(count: number, orgs: number) {
    const before = sent.batches;
    const asked = Array.from({ length: count }, (_, i) => counters.read({ org: `org-${i % orgs}`, ...READ }));
    const atOnce = sent.batches - before;
    await Promise.all(asked);
    return { atOnce, inAll: sent.batches - before };
  }
  return Object.assign(ask, { counters, sent });
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

it.each([40, 1])(
  'Redis begins with the first half of a crowd while the rest of it is still being asked, of %i orgs',
  async (orgs) => {
    const ask = await crowd();
    expect(await ask(40, orgs), 'a crowd nobody expected').toEqual({ atOnce: 0, inAll: 2 });
    for (let round = 1; round <= 3; round += 1)
      expect(await ask(40, orgs), 'two halves still').toEqual({ atOnce: 1, inAll: 2 });
  },
);

it('a crowd that has become small is sent as one batch after one turn', async () => {
  const ask = await crowd();
  await ask(40, 40);
  expect(await ask(24, 24), 'forty were expected').toEqual({ atOnce: 1, inAll: 2 });
  for (let round = 1; round <= 3; round += 1) expect(await ask(24, 24)).toEqual({ atOnce: 0, inAll: 1 });
});

it('of six hash tags each has one batch on its way, since the others keep Redis busy', async () => {
  const ask = await crowd(6);
  for (let round = 1; round <= 3; round += 1) expect(await ask(300, 300)).toEqual({ atOnce: 0, inAll: 6 });
});

it('a few that came while a batch was on its way go with what its answer brings', async () => {
  const { counters, sent } = await crowd();
  const before = sent.batches;
  const asked = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => counters.read({ org: `org-${from + i}`, ...READ }));
  const first = asked(0, 20);
  await turn();
  const few = asked(20, 8);
  await turn();
  expect(sent.batches - before, 'the first is on its way').toBe(1);
  await first[0];
  await Promise.all([...first, ...few, ...asked(28, 8)]);
  expect(sent.batches - before).toBe(2);
});

it('a crowd beside a small batch is shared out evenly, so that both come back at different times', async () => {
  const { counters, sent } = await crowd();
  const before = sent.keys.length;
  const asked = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => counters.read({ org: `org-${from + i}`, ...READ }));
  let answer = () => {};
  sent.until = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const few = asked(0, 4);
  await turn();
  const many = asked(4, 60);
  await turn();
  answer();
  await Promise.all([...few, ...many]);
  // Two keys for each org, and two of the batch's own.
  expect(sent.keys.slice(before).map((keys) => (keys - 2) / 2)).toEqual([4, 32, 28]);
});

it('an org whose reserve is being answered is not taken for an idle one (F10, T17)', async () => {
  const redis = await server();
  const counters = store({ url: redis.url });
  for (const org of ['acme', 'other']) await count(counters, 0, org);
  await reserve(counters, 'ended', { org: 'other' });
  // Idle orgs are dropped when there are more than 10,000.
  for (let first = 2; first < 9_999; first += 1_000) {
    const orgs = Array.from(
      { length: Math.min(1_000, 9_999 - first) },
      (_, index) => `idle-${first + index}`,
    );
    await Promise.all(orgs.map((org) => read(counters, org)));
  }
  const reading: Promise<unknown>[] = [];
  const settled = () => reading.push(...['new-1', 'new-2'].map((org) => read(counters, org)));
  const ended = reservation('ended', { org: 'other' });
  counters.settleUnawaited?.(ended, 'release', { settled, failed: settled });
  await reserve(counters, 'running');
  await Promise.all(reading);
  await plain(redis).flushall();
  await count(counters, 0);
  expect(await read(counters)).toMatchObject({ held: 1 });
});
