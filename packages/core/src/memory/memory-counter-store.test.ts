import { counterModelStore, fakeClock, runCounterStoreHistories } from '@tollgate/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Charge, CounterStore } from '../ports/counter-store.ts';
import type { CounterContents } from './counter-contents.ts';
import { type MemoryCounterStore, memoryCounterStore } from './memory-counter-store.ts';

const MOST = Number.MAX_SAFE_INTEGER;
const DEVICES = { key: 'devices', window: 'lifetime' };
const charge = (over: Partial<Charge> = {}): Charge => ({
  ...DEVICES,
  amount: 1,
  limit: 10,
  onUnknown: 'uncertain',
  forgetAt: null,
  ...over,
});

async function count(store: CounterStore, org: string, rows = 0): Promise<void> {
  const tokens = await store.beginRecount({ org, counters: [DEVICES] });
  await store.finishRecount({
    org,
    counts: tokens.map((token) => ({ ...token, count: rows, forgetAt: null })),
  });
}

function reserve(store: CounterStore, org: string, id: string, over: Partial<Charge> = {}, rememberMs = 0) {
  return store.reserve({ org, id, charges: [charge(over)], rememberMs, leaseMs: 1_000, maxHeld: 1_000 });
}

it('decides on a reserve at once, and answers all of a turn of the event loop at its end', async () => {
  const store = memoryCounterStore();
  await count(store, 'o', 9);
  const answers: string[] = [];
  const asked = ['a', 'b'].map(async (id) => answers.push((await reserve(store, 'o', id)).outcome));
  const [reading] = await store.read({ org: 'o', counters: [DEVICES] });
  expect(reading).toMatchObject({ committed: 9, held: 1 });
  await new Promise((resolve) => process.nextTick(resolve));
  expect(answers).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(answers).toEqual(['reserved', 'denied']);
  await Promise.all(asked);
});

/** Lets the store note which leases and counters have run out: reading does, and changes nothing else. */
async function notice(store: MemoryCounterStore): Promise<void> {
  const { orgs, counters } = store.contents();
  for (const org of orgs)
    await store.read({ org, counters: counters.filter((counter) => counter.org === org) });
}

/** The store, checking after every call what must hold whatever was asked. */
function watched(store: MemoryCounterStore): CounterStore {
  const ofOthers = ({ counters }: CounterContents, org: string) =>
    counters.filter((counter) => counter.org !== org);
  const watch =
    <A extends { readonly org: string }, R>(call: (request: A) => Promise<R>) =>
    async (request: A): Promise<R> => {
      await notice(store);
      const before = store.contents();
      const answer = await call(request);
      const after = store.contents();
      expect(ofOthers(after, request.org), 'Q10').toEqual(ofOthers(before, request.org));
      for (const { committed, held, uncertain } of after.counters) {
        for (const number of [committed, held, uncertain, committed + held + uncertain]) {
          expect(Number.isSafeInteger(number) && number >= 0, `Q7: ${number}`).toBe(true);
        }
      }
      return answer;
    };
  return {
    ...store,
    settle: watch((request) => store.settle(request)),
    adjust: watch((request) => store.adjust(request)),
    finishRecount: watch((request) => store.finishRecount(request)),
    reserve: watch(async (request) => {
      await notice(store);
      const before = store.contents();
      const answer = await store.reserve(request);
      if (answer.outcome !== 'reserved')
        expect(store.contents().counters, `Q2: ${answer.outcome}`).toEqual(before.counters);
      for (const [index, { limit }] of request.charges.entries()) {
        if (answer.outcome !== 'reserved' || limit === null) continue;
        const { committed = 0, held = 0, uncertain = 0 } = answer.readings[index] ?? {};
        expect(committed + held + uncertain, 'Q1').toBeLessThanOrEqual(limit);
      }
      return answer;
    }),
  };
}

describe('the memory counter store, whatever is asked of it', () => {
  it(
    'never admits above a limit, holds all or nothing, keeps orgs apart and numbers whole (Q1, Q2, Q7, Q10)',
    {
      timeout: 120_000,
    },
    () =>
      runCounterStoreHistories({
        runs: 200,
        lapsedKeepMs: 20_000,
        create() {
          const clock = fakeClock();
          return counterModelStore(watched(memoryCounterStore({ clock, lapsedKeepMs: 20_000 })), clock);
        },
      }),
  );

  it('admits exactly what fits, in the order it was asked (Q1)', () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat(40),
        fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 30 }),
        async (limit, amounts) => {
          const store = memoryCounterStore({ clock: fakeClock() });
          await count(store, 'acme');
          const outcomes = await Promise.all(
            amounts.map((amount, index) => reserve(store, 'acme', `r${index}`, { amount, limit })),
          );
          let used = 0;
          for (const [index, amount] of amounts.entries()) {
            const fits = used + amount <= limit;
            if (fits) used += amount;
            expect(outcomes[index]?.outcome).toBe(fits ? 'reserved' : 'denied');
          }
        },
      ),
    ));

  it('does everything once, however often it is asked (Q3)', () => {
    const call = fc.constantFrom('reserve', 'commit', 'release', 'unknown');
    return fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(call, fc.constantFrom('a', 'b', 'c')), { maxLength: 20 }),
        async (calls) => {
          const store = memoryCounterStore({ clock: fakeClock() });
          await count(store, 'acme');
          const settled = new Map<string, number>();
          for (const [as, id] of calls) {
            const request = { org: 'acme', id, charges: [charge()], rememberMs: 60_000 };
            const ask = () =>
              as === 'reserve'
                ? reserve(store, 'acme', id, {}, 60_000)
                : store.settle({ ...request, as: as as 'commit' });
            const first = await ask();
            const after = store.contents();
            const second = await ask();
            expect(store.contents()).toEqual(after);
            expect(second.outcome).not.toBe('settled');
            if (first.outcome === 'settled') settled.set(id, (settled.get(id) ?? 0) + 1);
          }
          for (const times of settled.values()) expect(times, 'Q4: one end').toBe(1);
        },
      ),
    );
  });

  it('keeps sums of any amounts whole and within 2^53-1 (Q7)', () => {
    const amount = fc.oneof(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: MOST - 9, max: MOST }),
      fc.maxSafeNat().map((n) => n || 1),
    );
    const step = fc.record({
      kind: fc.constantFrom(
        'reserve',
        'commit',
        'unknown',
        'charged',
        'refunded',
        'created',
        'deleted',
        'recount',
        'wait',
      ),
      id: fc.constantFrom('a', 'b'),
      amount,
    });
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const clock = fakeClock();
        const plain = memoryCounterStore({ clock });
        const store = watched(plain);
        await count(store, 'acme', MOST);
        const asked = new Map<string, number>();
        for (const { kind, id, amount } of steps) {
          if (kind === 'wait') clock.advance(500);
          else if (kind === 'recount') await count(store, 'acme', amount);
          else if (kind === 'reserve') {
            const { outcome } = await reserve(store, 'acme', id, { amount, limit: null });
            if (outcome === 'reserved') asked.set(id, amount);
          } else if (kind === 'commit' || kind === 'unknown') {
            const charges = [charge({ amount: asked.get(id) ?? 1 })];
            await store.settle({ org: 'acme', id, charges, rememberMs: 0, as: kind });
          } else
            await store.adjust({
              org: 'acme',
              adjustments: [{ ...DEVICES, amount, change: kind, forgetAt: null }],
            });
        }
      }),
    );
  });

  it('gives the room of a dead holder back at the end of its lease, neither before nor after (Q5)', () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 100_000 }), fc.nat(200_000), async (leaseMs, waitMs) => {
        const clock = fakeClock();
        const store = memoryCounterStore({ clock });
        await count(store, 'acme');
        const charges = [charge({ limit: 1, onUnknown: 'release' })];
        const ask = (id: string) =>
          store.reserve({ org: 'acme', id, charges, rememberMs: 0, leaseMs, maxHeld: 9 });
        await ask('dead');
        clock.advance(waitMs);
        expect((await ask('next')).outcome).toBe(waitMs < leaseMs ? 'denied' : 'reserved');
      }),
    ));
});

describe("the memory counter store's own memory (T17)", () => {
  it('keeps nothing of orgs that were only asked about', async () => {
    const store = memoryCounterStore({ clock: fakeClock() });
    for (let index = 0; index < 1_000; index += 1) {
      await reserve(store, `ghost-${index}`, 'r');
      await store.read({ org: `ghost-${index}`, counters: [DEVICES] });
    }
    expect(store.contents().orgs).toEqual([]);
  });

  it('drops a recount that was begun for an unknown org and never finished', async () => {
    const clock = fakeClock();
    const store = memoryCounterStore({ clock });
    for (let index = 0; index < 50; index += 1)
      await store.beginRecount({ org: `ghost-${index}`, counters: [DEVICES] });
    clock.advance(600_000);
    for (let index = 0; index < 51; index += 1) await store.read({ org: 'x', counters: [] });
    expect(store.contents().orgs).toEqual([]);
  });

  it('drops remembered ids, lapsed leases and forgotten counters when their time is over, by the calls of other orgs', async () => {
    const clock = fakeClock();
    const store = memoryCounterStore({ clock });
    const forgetAt = clock.now() + 3_600_000;
    for (let index = 0; index < 20; index += 1) {
      const org = `org-${index}`;
      const tokens = await store.beginRecount({ org, counters: [DEVICES] });
      await store.finishRecount({ org, counts: tokens.map((token) => ({ ...token, count: 0, forgetAt })) });
      await reserve(store, org, 'settled', { forgetAt }, 60_000);
      const settled = { org, id: 'settled', charges: [charge()], rememberMs: 60_000, as: 'commit' } as const;
      expect(await store.settle(settled)).toMatchObject({ outcome: 'settled' });
      await reserve(store, org, 'lapsed', { forgetAt });
      const adjustments = [{ ...DEVICES, amount: 1, change: 'created', forgetAt } as const];
      await store.adjust({ org, id: 'adjusted', rememberMs: 60_000, adjustments });
    }
    expect(store.contents().records).toEqual({ live: 20, lapsed: 0, settled: 20, adjusted: 20 });
    clock.advance(700_000);
    for (let index = 0; index < 20; index += 1) await store.read({ org: 'x', counters: [] });
    expect(store.contents().records).toEqual({ live: 0, lapsed: 0, settled: 0, adjusted: 0 });
    expect(store.contents().orgs).toHaveLength(20);
    clock.advance(3_600_000);
    for (let index = 0; index < 20; index += 1) await store.read({ org: 'x', counters: [] });
    expect(store.contents().orgs).toEqual([]);
  });
});

it('remembers the id of an adjustment for its time, also when nothing else of its org is left (Q3)', async () => {
  const clock = fakeClock();
  const store = memoryCounterStore({ clock });
  const day = { key: 'opens', window: 'day:1' };
  const [token] = await store.beginRecount({ org: 'o', counters: [day] });
  if (token === undefined) throw new Error('there is no token');
  const forgetAt = clock.now() + 1_000;
  await store.finishRecount({ org: 'o', counts: [{ ...token, count: 0, forgetAt }] });
  const adjustments = [{ ...day, amount: 1, change: 'charged', forgetAt } as const];
  const adjust = () => store.adjust({ org: 'o', adjustments, id: 'debt', rememberMs: 86_400_000 });
  await adjust();
  clock.advance(86_399_999);
  expect(await store.read({ org: 'o', counters: [day] })).toEqual([null]);
  await store.read({ org: 'other', counters: [DEVICES] });
  expect(await adjust()).toEqual({ missing: [], repeated: true });
  clock.advance(1);
  expect(await adjust()).toEqual({ missing: [0], repeated: false });
});

it('takes a first count up to ten minutes after the last that was begun, and none later', async () => {
  const clock = fakeClock();
  const store = memoryCounterStore({ clock });
  const begin = async () => {
    const [token] = await store.beginRecount({ org: 'o', counters: [DEVICES] });
    if (token === undefined) throw new Error('there is no token');
    return token;
  };
  const finish = async (token: Awaited<ReturnType<typeof begin>>) => {
    const counts = [{ ...token, count: 1, forgetAt: null }];
    return (await store.finishRecount({ org: 'o', counts }))[0]?.applied;
  };
  const first = await begin();
  clock.advance(599_999);
  await begin();
  clock.advance(600_000);
  expect(await finish(first)).toBe(false);
  const second = await begin();
  clock.advance(599_999);
  await begin();
  clock.advance(599_999);
  expect(await finish(second)).toBe(true);
});
