import { describe, expect, it, vi } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import { memoryCounterStore } from '../memory/memory-counter-store.ts';
import type { CounterStore } from '../ports/counter-store.ts';
import { gateOn, gateOnMemory } from './gate.test-support.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const one = (key: string) => ({ org: 'acme', charges: [{ key }] });

describe('a first create, whose counter the store does not know', () => {
  it('goes to the store right behind the count it waited for, which saves a first create a round trip', async () => {
    const asked: string[] = [];
    const { gate, rows } = gateOnMemory({}, (store) => ({
      ...store,
      reserve(request) {
        asked.push('reserve');
        return store.reserve(request);
      },
      async finishRecount(request) {
        asked.push('finish');
        const results = await store.finishRecount(request);
        await new Promise((resolve) => setImmediate(resolve));
        asked.push('finished');
        return results;
      },
    }));
    rows.set('acme/devices', 2);
    expect((await gate.reserve(one('devices'))).admitted).toBe(true);
    expect(asked.slice(0, 3)).toEqual(['reserve', 'finish', 'reserve']);
  });

  it('waits for the count where a store lets the create overtake it, and counts once', async () => {
    let reserves = 0;
    const { gate, rows, counted } = gateOnMemory({}, (store) => ({
      ...store,
      reserve(request) {
        reserves++;
        return store.reserve(request);
      },
      async finishRecount(request) {
        while (reserves < 2) await new Promise((resolve) => setImmediate(resolve));
        for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
        return store.finishRecount(request);
      },
    }));
    rows.set('acme/devices', 2);
    expect((await gate.reserve(one('devices'))).admitted).toBe(true);
    expect(reserves).toBe(3);
    expect(counted).toEqual(['acme/devices']);
  });

  it('admits nobody on a count that the store refused', async () => {
    let isRefusing = true;
    const { gate, rows } = gateOnMemory({}, (store) => ({
      ...store,
      finishRecount: (request) =>
        isRefusing
          ? Promise.reject(new TollgateError('quota_unavailable', { retryAfterSeconds: 1 }))
          : store.finishRecount(request),
    }));
    rows.set('acme/devices', 3);
    await expect(gate.reserve(one('devices'))).rejects.toEqual(code('quota_unavailable'));
    isRefusing = false;
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
  });
});

describe('a create of several keys', () => {
  it('is not decided on a count that is a text, as SQL drivers answer, and the log says so', async () => {
    const { gate, rows, wiring } = gateOnMemory();
    const error = vi.spyOn(wiring.logger, 'error');
    rows.set('acme/devices', '2' as unknown as number);
    await expect(gate.reserve(one('devices'))).rejects.toMatchObject({ code: 'quota_unavailable' });
    expect(error).toHaveBeenCalledExactlyOnceWith('inventory.count answered something that is not a count', {
      key: 'devices',
      answer: '2',
      type: 'string',
    });
  });

  it.each([
    [[{ id: 1, email: 'ann@example.com' }], 'a list of 1'],
    [{ rowCount: 1, rows: [{ id: 1, email: 'ann@example.com' }] }, 'an object with rowCount, rows'],
  ])(
    'is not decided on rows in place of their count, and the log repeats none of them: %j',
    async (answer, said) => {
      const { gate, wiring } = gateOnMemory();
      const error = vi.spyOn(wiring.logger, 'error');
      wiring.inventory.count = async () => answer as unknown as number;
      await expect(gate.reserve(one('devices'))).rejects.toMatchObject({ code: 'quota_unavailable' });
      expect(error).toHaveBeenCalledExactlyOnceWith(
        'inventory.count answered something that is not a count',
        {
          key: 'devices',
          answer: said,
          type: 'object',
        },
      );
    },
  );

  it('is refused on no old count of one key, also where another had to be counted first', async () => {
    const { gate, rows, clock, counted } = gateOnMemory();
    rows.set('acme/zones', 2);
    expect((await gate.reserve(one('zones'))).admitted).toBe(false);
    clock.at += 3_600_000;
    rows.set('acme/zones', 0);
    counted.length = 0;
    const both = await gate.reserve({ org: 'acme', charges: [{ key: 'devices' }, { key: 'zones' }] });
    expect(both.admitted).toBe(true);
    expect(counted).toEqual(['acme/devices', 'acme/zones']);
  });
});

it('an org whose count is older than `recountEveryMs` is counted in the background, once: rows made behind the back of the gate are found', async () => {
  const { gate, rows, clock, counted } = gateOnMemory();
  const create = async () => {
    const decided = await gate.reserve(one('devices'));
    if (decided.admitted) await decided.reservation.release();
    await new Promise((resolve) => setImmediate(resolve));
    return decided.admitted;
  };
  await create();
  rows.set('acme/devices', 3);
  clock.at += 300_000;
  expect(await create()).toBe(true);
  expect(counted).toHaveLength(1);
  clock.at += 1;
  expect(await create()).toBe(true);
  await vi.waitFor(() => expect(counted).toHaveLength(2), { interval: 1 });
  expect(await create()).toBe(false);
  expect(counted).toHaveLength(2);
});

it('a count of metered use is not taken anew, however old it is', async () => {
  let begun = 0;
  const { gate, clock } = gateOnMemory({ recountEveryMs: 60_000 }, (store) => ({
    ...store,
    beginRecount(request) {
      begun++;
      return store.beginRecount(request);
    },
  }));
  const opening = { org: 'acme', charges: [{ key: 'door_opens' }] };
  await gate.reserve(opening);
  begun = 0;
  clock.at += 3_600_000;
  expect((await gate.reserve(opening)).admitted).toBe(true);
  expect(begun).toBe(0);
});

it('a count in the background is left out where another process has done it before it began', async () => {
  const { gate, rows, clock, counted, counters, wiring } = gateOnMemory();
  let letGo = () => {};
  const isDone = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const began = vi.fn();
  const later = gateOn({
    ...wiring,
    counters: {
      ...counters,
      beginRecount: async (request: Parameters<typeof counters.beginRecount>[0]) => {
        await isDone;
        const tokens = await counters.beginRecount(request);
        began();
        return tokens;
      },
    },
  });
  await gate.reserve(one('devices'));
  clock.at += 300_001;
  rows.set('acme/devices', 1);
  await later.reserve(one('devices'));
  await gate.reserve(one('devices'));
  const devices = { key: 'devices', window: 'lifetime', forgetAt: null };
  const read = async () => (await counters.read({ org: 'acme', counters: [devices] }))[0]?.committed;
  await vi.waitFor(async () => expect(await read()).toBe(1), { interval: 1 });
  expect(counted).toHaveLength(2);
  letGo();
  await vi.waitFor(() => expect(began).toHaveBeenCalledOnce(), { interval: 1 });
  await new Promise((resolve) => setImmediate(resolve));
  expect(counted).toHaveLength(2);
});

it('a recount counts once more where a create ended while it counted', async () => {
  const { gate, rows, wiring } = gateOnMemory();
  const running = await gate.reserve(one('devices'));
  const { count } = wiring.inventory;
  wiring.inventory.count = async (request) => {
    wiring.inventory.count = count;
    const before = await count(request);
    rows.set('acme/devices', 1);
    if (running.admitted) await running.reservation.commit();
    return before;
  };
  expect((await gate.recountRows('acme', ['devices'])).get('devices')).toBe(1);
});

it('a create that a count refused because it saw rows whose units were still held is let in once they are settled (Q8)', async () => {
  const { gate, rows } = gateOnMemory();
  const running = [await gate.reserve(one('devices')), await gate.reserve(one('devices'))];
  rows.set('acme/devices', 2);
  await gate.recountRows('acme', ['devices']);
  expect((await gate.reserve(one('devices'))).admitted).toBe(false);
  for (const decided of running) if (decided.admitted) await decided.reservation.commit();
  expect((await gate.reserve(one('devices'))).admitted).toBe(true);
  rows.set('acme/devices', 3);
  expect((await gate.reserve(one('devices'))).admitted).toBe(false);
});

it('a create refused on an old count is not counted for again where another process has done so meanwhile, and now holds units whose rows are there (Q8)', async () => {
  const { gate, rows, counted, counters, wiring } = gateOnMemory();
  for (const decided of [await gate.reserve(one('devices')), await gate.reserve(one('devices'))])
    if (decided.admitted) await decided.reservation.abandon();
  let isAdmitted = false;
  const other = gateOn({
    ...wiring,
    counters: {
      ...counters,
      beginRecount: async (request: Parameters<CounterStore['beginRecount']>[0]) => {
        isAdmitted = (await gate.reserve({ org: 'acme', charges: [{ key: 'devices', amount: 2 }] })).admitted;
        rows.set('acme/devices', 2);
        return counters.beginRecount(request);
      },
    },
  });
  counted.length = 0;
  expect((await other.reserve({ org: 'acme', charges: [{ key: 'devices', amount: 2 }] })).admitted).toBe(
    false,
  );
  expect(isAdmitted).toBe(true);
  expect((await other.reserve(one('devices'))).admitted).toBe(true);
  expect(counted).toEqual(['acme/devices']);
});

describe('a recount that is asked for, after rows went without a word', () => {
  /** A gate whose host, asked for its rows, answers when it is let: with those it had when it was asked. */
  function slowly(wiring: ReturnType<typeof gateOnMemory>['wiring']) {
    const answers: (() => void)[] = [];
    const gate = gateOn({
      ...wiring,
      inventory: {
        ...wiring.inventory,
        count: async (request: { org: string; key: string }) => {
          const count = await wiring.inventory.count(request);
          await new Promise<void>((resolve) => answers.push(resolve));
          return count;
        },
      },
    });
    const answer = async () => {
      await vi.waitFor(() => expect(answers).toHaveLength(1), { interval: 1 });
      answers.pop()?.();
    };
    return { gate, answer };
  }

  it('is not taken for one under way, whose rows may have been counted before; all who ask meanwhile share the next', async () => {
    const { rows, wiring, counted } = gateOnMemory();
    const { gate, answer } = slowly(wiring);
    rows.set('acme/devices', 3);
    const first = gate.recountRows('acme', ['devices']);
    await vi.waitFor(() => expect(counted).toHaveLength(1), { interval: 1 });
    rows.set('acme/devices', 1);
    const later = [gate.recountRows('acme', ['devices']), gate.recountRows('acme', ['devices'])];
    await answer();
    await first;
    await answer();
    for (const counts of later) expect((await counts).get('devices')).toBe(1);
    expect(counted).toHaveLength(2);
  });

  it('counts, also where one is under way that finds the count young enough', async () => {
    const { gate, rows } = gateOnMemory();
    rows.set('acme/devices', 3);
    await gate.recountRows('acme', ['devices']);
    rows.set('acme/devices', 1);
    const isTooOld = () => false;
    const [, counts] = await Promise.all([
      gate.recounts.run('acme', [{ key: 'devices', window: 'lifetime', forgetAt: null, isTooOld }]),
      gate.recountRows('acme', ['devices']),
    ]);
    expect(counts.get('devices')).toBe(1);
  });

  it('counts, also where one is under way that fails', async () => {
    const { gate, rows, wiring } = gateOnMemory();
    rows.set('acme/devices', 1);
    let fail = () => {};
    const count = vi.spyOn(wiring.inventory, 'count').mockImplementationOnce(
      () =>
        new Promise((_resolve, reject) => {
          fail = () => reject(new Error('away'));
        }),
    );
    const failing = expect(gate.recountRows('acme', ['devices'])).rejects.toMatchObject({
      code: 'quota_unavailable',
    });
    await vi.waitFor(() => expect(count).toHaveBeenCalledOnce(), { interval: 1 });
    const counts = gate.recountRows('acme', ['devices']);
    fail();
    expect((await counts).get('devices')).toBe(1);
    await failing;
  });

  it('where it is missing is made once, and only who began it knows that it shows the rows of then', async () => {
    const { gate, counted } = gateOnMemory();
    const fill = () => gate.recounts.fill('acme', [{ key: 'devices', window: 'lifetime', forgetAt: null }]);
    expect(await Promise.all([fill(), fill()])).toEqual([[true], [false]]);
    expect(await fill()).toEqual([false]);
    expect(counted).toEqual(['acme/devices']);
  });

  it('counts once more where another process, which began before, was done first', async () => {
    const { rows, wiring, counted } = gateOnMemory();
    const here = slowly(wiring);
    const other = slowly(wiring);
    rows.set('acme/devices', 3);
    const before = other.gate.recountRows('acme', ['devices']);
    await vi.waitFor(() => expect(counted).toHaveLength(1), { interval: 1 });

    rows.set('acme/devices', 1);
    const asked = here.gate.recountRows('acme', ['devices']);
    await vi.waitFor(() => expect(counted).toHaveLength(2), { interval: 1 });
    await other.answer();
    await before;
    await here.answer();
    await here.answer();
    expect((await asked).get('devices')).toBe(1);
  });
});

describe("a process whose clock is behind the store's", () => {
  const DAY_MS = 86_400_000;

  function gateBehind(days: number) {
    const { clock, wiring } = gateOnMemory();
    const storeClock = { now: () => clock.at + days * DAY_MS };
    return gateOn({ ...wiring, counters: memoryCounterStore({ clock: storeClock }) });
  }

  it('by a day counts metered use in its own day, up to the limit (F30, Q1)', async () => {
    const gate = gateBehind(1);
    const admitted: boolean[] = [];
    for (let create = 1; create <= 6; create++) {
      const decided = await gate.reserve(one('door_opens'));
      admitted.push(decided.admitted);
      if (decided.admitted) await decided.reservation.commit();
    }
    expect(admitted).toEqual([true, true, true, true, true, false]);
  });

  it('by three days admits no metered use, which nobody could count, and says why; rows are counted as ever (F30, Q13)', async () => {
    const gate = gateBehind(3);
    await expect(gate.reserve(one('door_opens'))).rejects.toMatchObject({
      code: 'quota_unavailable',
      cause: new Error(
        "The counter store forgets the count of door_opens day:2026-04-09 as soon as it is taken: it loses data, or this process' clock is days behind the store's.",
      ),
    });
    expect((await gate.reserve(one('devices'))).admitted).toBe(true);
  });
});
