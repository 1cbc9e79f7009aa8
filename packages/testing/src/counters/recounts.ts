import type { CounterStore, RecountToken } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { CounterStoreHost } from '../counter-store-host.ts';
import { type CounterCase, charge, counterTests, DEVICES, ORG, ZONES } from './counter-case.ts';

/** Begins a recount of the devices; the returned `finish` ends it with a count. */
async function beginRecount(a: CounterCase) {
  const [token] = await a.store.beginRecount({ org: ORG, counters: [DEVICES] });
  if (!token) throw new Error('no token');
  const finish = async (count: number, from: RecountToken = token) => {
    const [result] = await a.store.finishRecount({ org: ORG, counts: [{ ...from, count, forgetAt: null }] });
    return result;
  };
  return { token, finish };
}

/** How a recount treats the changes made around it (Q8). */
export function counterRecounts<S extends CounterStore>(host: CounterStoreHost<S>): void {
  const test = counterTests(host);

  describe('recounts (Q8)', () => {
    test('a recount sets the count and forgets what was uncertain before it', async (a) => {
      await a.count(DEVICES, 5);
      await a.reserve('r');
      await a.settle('r', { as: 'unknown' });
      const recount = await beginRecount(a);
      expect(recount.token).toMatchObject({
        ...DEVICES,
        reading: { committed: 5, held: 0, uncertain: 1 },
      });
      expect(await recount.finish(6)).toEqual({ ...DEVICES, applied: true, uncertain: 0 });
      await a.expectCounter(DEVICES, { committed: 6, held: 0, uncertain: 0 });
    });

    test('a commit between begin and finish is uncertain afterwards, for the count may show it or not', async (a) => {
      await a.count(DEVICES, 5);
      await a.reserve('r', { charges: [charge({ amount: 2 })] });
      const recount = await beginRecount(a);
      await a.settle('r', { as: 'commit' }, { charges: [charge({ amount: 2 })] });
      expect(await recount.finish(5)).toMatchObject({ applied: true, uncertain: 2 });
      await a.expectCounter(DEVICES, { committed: 5, held: 0, uncertain: 2 });
      await a.count(DEVICES, 7);
      await a.expectCounter(DEVICES, { committed: 7, uncertain: 0 });
    });

    test('a commit of a reservation that was open over a finished recount is uncertain', async (a) => {
      await a.count(DEVICES, 5);
      await a.reserve('r');
      await a.count(DEVICES, 6);
      await a.expectCounter(DEVICES, { committed: 6, held: 1, uncertain: 0 });
      await a.settle('r', { as: 'commit' });
      await a.expectCounter(DEVICES, { committed: 6, held: 0, uncertain: 1 });
    });

    test('a metered commit stays committed over a recount', async (a) => {
      await a.count(DEVICES, 5);
      const charges = [charge({ onUnknown: 'release' })];
      await a.reserve('r', { charges });
      await a.count(DEVICES, 5);
      await a.settle('r', { as: 'commit' }, { charges });
      await a.expectCounter(DEVICES, { committed: 6, uncertain: 0 });
    });

    test('a reservation made after the recount is committed as usual', async (a) => {
      await a.count(DEVICES, 5);
      const recount = await beginRecount(a);
      await recount.finish(5);
      await a.reserve('r');
      await a.settle('r', { as: 'commit' });
      await a.expectCounter(DEVICES, { committed: 6, uncertain: 0 });
    });

    test('rows that came or went between begin and finish are uncertain, and never counted as free', async (a) => {
      await a.count(DEVICES, 5);
      const recount = await beginRecount(a);
      const change = (kind: 'created' | 'deleted', amount: number) => ({
        ...DEVICES,
        amount,
        change: kind,
        forgetAt: null,
      });
      await a.store.adjust({ org: ORG, adjustments: [change('created', 2)] });
      await a.store.adjust({ org: ORG, adjustments: [change('deleted', 1)] });
      expect(await recount.finish(5)).toMatchObject({ applied: true, uncertain: 3 });
      await a.expectCounter(DEVICES, { committed: 4, uncertain: 3 });
    });

    test('live reservations stay held', async (a) => {
      await a.count(DEVICES, 5);
      await a.reserve('r', { charges: [charge({ amount: 3 })] });
      await a.count(DEVICES, 5);
      await a.expectCounter(DEVICES, { committed: 5, held: 3, uncertain: 0 });
    });

    test('of recounts that were open together only the first to finish is applied', async (a) => {
      const [first, second] = [await beginRecount(a), await beginRecount(a)];
      expect(first.token.reading).toBeNull();
      expect(await second.finish(2)).toMatchObject({ applied: true });
      expect(await first.finish(9)).toEqual({ ...DEVICES, applied: false, uncertain: 0 });
      expect(await second.finish(9)).toMatchObject({ applied: false });
      await a.expectCounter(DEVICES, { committed: 2 });
    });

    test('a token that no store made is not applied', async (a) => {
      await a.count(DEVICES, 2);
      const { token, finish } = await beginRecount(a);
      for (const odd of ['', 'x', '0', '0.0.0', '999999999.0.0']) {
        expect(await finish(9, { ...token, token: odd })).toMatchObject({ applied: false });
      }
      await a.expectCounter(DEVICES, { committed: 2 });
    });

    test('several counters are finished together, each on its own merits', async (a) => {
      const tokens = await a.store.beginRecount({ org: ORG, counters: [DEVICES, ZONES] });
      await a.count(ZONES, 4);
      const counts = tokens.map((token) => ({ ...token, count: 1, forgetAt: null }));
      expect(await a.store.finishRecount({ org: ORG, counts })).toMatchObject([
        { applied: true },
        { applied: false },
      ]);
      await a.expectCounter(DEVICES, { committed: 1 });
      await a.expectCounter(ZONES, { committed: 4 });
    });
  });
}
