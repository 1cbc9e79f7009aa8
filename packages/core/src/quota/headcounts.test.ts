import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from 'vitest';
import type { Reservation } from '../ports/counter-store.ts';
import type { PlannedCharge } from './charges.ts';
import { createHeadcounts, type Headcount } from './headcounts.ts';

const HISTORIES = 500;

/** Numbers that look random, the same for each seed. */
function dice(seed: number) {
  let state = seed * 2_654_435_761;
  return (sides: number) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) % sides;
  };
}

const LIMITS: Readonly<Record<string, number>> = { devices: 5, zones: 3 };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One history: creates come, are decided, write their rows, end or are let go; counts see the rows at some moment and answer later, or fail. */
async function history(seed: number): Promise<number> {
  const roll = dice(seed);
  const rows = new Map(Object.keys(LIMITS).map((key) => [key, 0]));
  const counts: { readonly key: string; seen?: number; readonly answer: (seen: number | Error) => void }[] =
    [];
  /** What a store that answers now and then lets in: it knows all rows, and all that run. */
  const held = new Set<Reservation>();
  const watching = new Set<Set<Reservation>>();
  const silent = () => undefined;
  const { enter } = createHeadcounts(
    {
      inventory: {
        count: ({ key }: { key: string }) =>
          new Promise<number>((resolve, reject) => {
            counts.push({
              key,
              answer: (seen) => (typeof seen === 'number' ? resolve(seen) : reject(seen)),
            });
          }),
      },
      settings: { inventoryTimeoutMs: 60_000 },
      logger: { debug: silent, info: silent, warn: silent, error: silent },
    } as never,
    () => {
      const seen = new Set(held);
      watching.add(seen);
      return { seen, end: () => void watching.delete(seen) };
    },
  );
  /** Let in and not over; those that wrote have their rows already. */
  const running: {
    readonly keys: readonly string[];
    readonly amount: number;
    hasWritten: boolean;
    readonly leave: () => void;
  }[] = [];
  let admitted = 0;
  let waiting = 0;
  const check = () => {
    for (const [key, limit] of Object.entries(LIMITS)) {
      const made = rows.get(key) ?? 0;
      const making = running.filter((one) => one.keys.includes(key) && !one.hasWritten);
      const used = making.reduce((sum, { amount }) => sum + amount, made);
      if (used > limit) throw new Error(`${used} of ${limit} ${key} in history ${seed}`);
    }
  };
  const decided = (keys: readonly string[], amount: number, { misfits, leave }: Headcount) => {
    if (misfits.length > 0) return;
    admitted += 1;
    running.push({ keys, amount, hasWritten: false, leave });
    check();
  };
  const comeByStore = () => {
    const key = roll(2) === 0 ? 'devices' : 'zones';
    const making = running.filter((one) => one.keys.includes(key) && !one.hasWritten);
    const used = making.reduce((sum, { amount }) => sum + amount, rows.get(key) ?? 0);
    if (used >= (LIMITS[key] ?? 0)) return;
    const reservation = { org: 'acme', charges: [{ key, amount: 1 }] } as unknown as Reservation;
    held.add(reservation);
    for (const seen of watching) seen.add(reservation);
    running.push({ keys: [key], amount: 1, hasWritten: false, leave: () => void held.delete(reservation) });
  };
  const come = () => {
    const keys = roll(4) === 0 ? ['devices', 'zones'] : [roll(3) === 0 ? 'zones' : 'devices'];
    const amount = 1 + roll(2);
    waiting += 1;
    const charges = keys.map((key) => ({ key, amount, limit: LIMITS[key] }) as unknown as PlannedCharge);
    enter('acme', charges)
      .then((headcount) => decided(keys, amount, headcount))
      .catch((error: { code?: string }) => {
        if (error.code !== 'quota_unavailable') failure = error;
      })
      .finally(() => {
        waiting -= 1;
      });
  };
  let failure: unknown;
  const answerOne = () => {
    const [count] = counts.splice(roll(counts.length), 1);
    if (count === undefined) return;
    count.answer(roll(12) === 0 ? new Error('away') : (count.seen ?? rows.get(count.key) ?? 0));
  };
  const write = (one: (typeof running)[number]) => {
    for (const key of one.keys) rows.set(key, (rows.get(key) ?? 0) + one.amount);
    one.hasWritten = true;
  };
  const steps = [
    come,
    come,
    comeByStore,
    () => {
      const [count] = counts.slice(roll(Math.max(1, counts.length)));
      if (count !== undefined) count.seen ??= rows.get(count.key) ?? 0;
    },
    answerOne,
    () => {
      const one = running[roll(Math.max(1, running.length))];
      if (one !== undefined && !one.hasWritten) write(one);
    },
    () => {
      const [one] = running.splice(roll(Math.max(1, running.length)), 1);
      if (one === undefined) return;
      if (!one.hasWritten && roll(3) > 0) write(one);
      one.leave();
      if (roll(4) === 0) one.leave();
    },
    () => {
      // Somebody deletes rows.
      const key = roll(2) === 0 ? 'devices' : 'zones';
      const unwritten = rows.get(key) ?? 0;
      if (unwritten > 0 && roll(2) === 0) rows.set(key, unwritten - 1);
    },
  ];
  for (let step = 0; step < 80; step += 1) {
    steps[roll(steps.length)]?.();
    if (roll(3) > 0) await turn();
    if (failure !== undefined) throw failure;
    check();
  }
  // Nobody is left waiting once the host answers.
  for (let rounds = 0; waiting + counts.length > 0; rounds += 1) {
    if (rounds > 500) throw new Error(`${waiting} hang in history ${seed}`);
    while (counts.length > 0) answerOne();
    await turn();
  }
  if (failure !== undefined) throw failure;
  check();
  for (const one of running.splice(0)) {
    if (!one.hasWritten) write(one);
    one.leave();
  }
  // All is forgotten: of a quiet key the host is asked at once, and its answer alone decides.
  rows.set('devices', 4);
  const last = enter('acme', [{ key: 'devices', amount: 1, limit: 5 } as unknown as PlannedCharge]);
  if (counts.length !== 1) throw new Error(`${counts.length} counts under way in history ${seed}`);
  counts[0]?.answer(4);
  if ((await last).misfits.length > 0) throw new Error(`Room is lost in history ${seed}`);
  if (watching.size > 0) throw new Error(`Leases are watched for nobody in history ${seed}`);
  return admitted;
}

describe('headcounts', () => {
  it('let in no create above the limit, and leave none hanging, in whatever order counts, rows and ends come (Q1)', async () => {
    let admitted = 0;
    for (let seed = 1; seed <= HISTORIES; seed += 1) admitted += await history(seed);
    expect(admitted).toBeGreaterThan(HISTORIES);
  });

  it('are asked for in the request of somebody who waits for them', async () => {
    const request = new AsyncLocalStorage<string>();
    const askedIn: (string | undefined)[] = [];
    const answers: (() => void)[] = [];
    const silent = () => undefined;
    const { enter } = createHeadcounts(
      {
        inventory: {
          count: () => {
            askedIn.push(request.getStore());
            return new Promise<number>((resolve) => answers.push(() => resolve(0)));
          },
        },
        settings: { inventoryTimeoutMs: 60_000 },
        logger: { debug: silent, info: silent, warn: silent, error: silent },
      } as never,
      () => ({ seen: new Set(), end: () => undefined }),
    );
    const charge = { key: 'devices', amount: 1, limit: 100 } as unknown as PlannedCharge;
    const come = (name: string) => request.run(name, () => enter('acme', [charge]));
    const crowd = Array.from({ length: 4 }, (_, i) => come(`request ${i}`));
    crowd.push(come('request 4'), come('request 5'));
    answers.shift()?.();
    await crowd[0];
    await turn();
    for (const answer of answers.splice(0)) answer();
    await Promise.all(crowd);
    expect(askedIn).toEqual([0, 1, 2, 3, 4].map((n) => `request ${n}`));
  });
});
