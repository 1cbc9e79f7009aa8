import type { CounterStore } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { CounterStoreHost } from '../counter-store-host.ts';
import { charge, counterTests, DEVICES, ORG, ZONES } from './counter-case.ts';

/** What racing callers see through several handles on the same data. */
export function counterRaces<S extends CounterStore>(host: CounterStoreHost<S>): void {
  const test = counterTests(host);
  const times = (n: number) => Array.from({ length: n }, (_, index) => index);
  const admitted = (outcomes: readonly { outcome: string }[]) =>
    outcomes.filter(({ outcome }) => outcome === 'reserved').length;

  describe('races', () => {
    test('200 parallel reserves at limit 100 hold exactly 100 (Q1)', async (a) => {
      await a.count(DEVICES, 0);
      const peer = await a.peer();
      const charges = [charge({ limit: 100 })];
      const outcomes = await Promise.all(
        times(200).map((n) => a.reserve(`r${n}`, { charges }, n % 2 ? peer : a.store)),
      );
      expect(admitted(outcomes)).toBe(100);
      await a.expectCounter(DEVICES, { committed: 0, held: 100, uncertain: 0 });
    });

    test('4 handles x 200 parallel reserves at limit 100, settled at once, commit exactly 100 (Q1)', async (a) => {
      await a.count(DEVICES, 0);
      const handles = [a.store, await a.peer(), await a.peer(), await a.peer()];
      const charges = [charge({ limit: 100 })];
      const attempt = async (id: string, handle: CounterStore) => {
        const decided = await a.reserve(id, { charges }, handle);
        if (decided.outcome === 'reserved') await a.settle(id, { as: 'commit' }, { charges }, handle);
        return decided;
      };
      const outcomes = await Promise.all(
        handles.flatMap((handle, worker) => times(200).map((n) => attempt(`w${worker}-${n}`, handle))),
      );
      expect(admitted(outcomes)).toBe(100);
      await a.expectCounter(DEVICES, { committed: 100, held: 0, uncertain: 0 });
    });

    test('reserves of several keys in any order hold all of their units or none (Q2)', async (a) => {
      await a.count(DEVICES, 0);
      await a.count(ZONES, 0);
      const peer = await a.peer();
      const pair = [charge({ limit: 30 }), charge({ ...ZONES, limit: 20 })];
      const outcomes = await Promise.all(
        times(100).map((n) =>
          a.reserve(`r${n}`, { charges: n % 2 ? pair : pair.toReversed() }, n % 2 ? peer : a.store),
        ),
      );
      expect(admitted(outcomes)).toBe(20);
      await a.expectCounter(DEVICES, { held: 20 });
      await a.expectCounter(ZONES, { held: 20 });
    });

    test('one id reserved by many at once is held once (Q3)', async (a) => {
      await a.count(DEVICES, 0);
      const peer = await a.peer();
      const outcomes = await Promise.all(times(50).map((n) => a.reserve('same', {}, n % 2 ? peer : a.store)));
      expect(admitted(outcomes)).toBe(1);
      expect(outcomes.filter(({ outcome }) => outcome === 'repeated')).toHaveLength(49);
      await a.expectCounter(DEVICES, { held: 1 });
    });

    test('commit and release of one reservation at once: exactly one counts (Q4)', async (a) => {
      await a.count(DEVICES, 0);
      const peer = await a.peer();
      for (const n of times(20)) {
        const kept = { rememberMs: host.timing.rememberMs, charges: [charge({ limit: null })] };
        await a.reserve(`r${n}`, kept);
        const [commit, release] = await Promise.all([
          a.settle(`r${n}`, { as: 'commit' }, kept, n % 2 ? peer : a.store),
          a.settle(`r${n}`, { as: 'release' }, kept, n % 2 ? a.store : peer),
        ]);
        const settled = [commit, release].filter(({ outcome }) => outcome === 'settled');
        expect(settled).toHaveLength(1);
        const state = commit.outcome === 'settled' ? 'committed' : 'released';
        expect(commit.outcome === 'settled' ? release : commit).toEqual({ outcome: 'repeated', state });
      }
      await a.expectCounter(DEVICES, { held: 0, uncertain: 0 });
    });

    test('recounts beside commits lose none of them and count none twice (Q8)', async (a) => {
      await a.count(DEVICES, 0);
      const peer = await a.peer();
      const charges = [charge({ limit: 60 })];
      let rows = 0;
      const create = async (id: string) => {
        const decided = await a.reserve(id, { charges }, peer);
        if (decided.outcome !== 'reserved') return;
        rows += 1;
        await a.settle(id, { as: 'commit' }, { charges }, peer);
      };
      const recount = async () => {
        const tokens = await a.store.beginRecount({ org: ORG, counters: [DEVICES] });
        const counts = tokens.map((token) => ({ ...token, count: rows, forgetAt: null }));
        await a.store.finishRecount({ org: ORG, counts });
      };
      for (const round of times(10)) {
        await Promise.all([...times(8).map((n) => create(`r${round}-${n}`)), recount(), recount()]);
        expect(rows).toBeLessThanOrEqual(60);
        const reading = await a.read(DEVICES);
        expect((reading?.committed ?? 0) + (reading?.uncertain ?? 0)).toBeGreaterThanOrEqual(rows);
      }
      await a.count(DEVICES, rows);
      await a.expectCounter(DEVICES, { committed: rows, held: 0, uncertain: 0 });
      await Promise.all(times(80).map((n) => create(`last-${n}`)));
      expect(rows).toBe(60);
    });
  });
}
