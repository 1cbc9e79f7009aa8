import type { CounterStore, OnUnknown } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { CounterStoreHost } from '../counter-store-host.ts';
import { type CounterCase, charge, counterTests, DEVICES, OPENS, ORG } from './counter-case.ts';

type How = Parameters<CounterCase['settle']>[1];

/** What happens to held units whose counter is gone when they are settled (Q9). */
export function counterLosses<S extends CounterStore>(host: CounterStoreHost<S>): void {
  const test = counterTests(host);
  const { leaseMs, rememberMs } = host.timing;

  /** Holds two door opens and a device until the counter of the door opens is gone; returns a function that settles them. */
  async function loseOpens(a: CounterCase, onUnknown: OnUnknown, heldMs = 50 * leaseMs) {
    const forgetAt = (await a.now()) + leaseMs;
    await a.count(OPENS, 3, forgetAt);
    await a.count(DEVICES, 0);
    const charges = [charge({ ...OPENS, amount: 2, onUnknown, forgetAt }), charge()];
    await a.reserve('r', { charges, rememberMs, leaseMs: heldMs });
    await a.upTo(leaseMs);
    await a.past();
    expect(await a.read(OPENS)).toBeNull();
    return (how: How) => a.settle('r', how, { charges, rememberMs });
  }

  describe('lost counters', () => {
    test('a commit names them, once, and is counted where there is a count (Q3)', async (a) => {
      const settle = await loseOpens(a, 'release');
      const answer = { outcome: 'settled', late: false, overLimit: false, missing: [0] };
      expect(await settle({ as: 'commit' })).toEqual(answer);
      expect(await settle({ as: 'commit' })).toEqual({ outcome: 'repeated', state: 'committed' });
      expect(await a.read(OPENS)).toBeNull();
      await a.expectCounter(DEVICES, { committed: 1, held: 0, uncertain: 0 });
    });

    test('a late commit names them too', async (a) => {
      const settle = await loseOpens(a, 'commit', leaseMs);
      expect(await settle({ as: 'commit' })).toMatchObject({ late: true, missing: [0] });
    });

    test('an unknown end names those that were to keep its units', async (a) => {
      const settle = await loseOpens(a, 'commit');
      expect(await settle({ as: 'unknown' })).toMatchObject({ outcome: 'settled', missing: [0] });
    });

    const without: Readonly<Record<string, How>> = {
      'a release': { as: 'release' },
      'an unknown end that gives back': { as: 'unknown' },
      'a commit of none of theirs': { as: 'commit', amounts: [0, 1] },
    };
    for (const [name, how] of Object.entries(without)) {
      test(`${name} names none`, async (a) => {
        const settle = await loseOpens(a, 'release');
        expect(await settle(how)).toEqual({ outcome: 'settled', late: false, overLimit: false });
      });
    }

    test('one whose recount was begun takes the units of a commit', async (a) => {
      const settle = await loseOpens(a, 'release');
      const tokens = await a.store.beginRecount({ org: ORG, counters: [OPENS] });
      expect(await settle({ as: 'commit' })).toEqual({ outcome: 'settled', late: false, overLimit: false });
      const counts = tokens.map((token) => ({ ...token, count: 3, forgetAt: null }));
      expect(await a.store.finishRecount({ org: ORG, counts })).toMatchObject([{ applied: true }]);
      await a.expectCounter(OPENS, { committed: 3, held: 0, uncertain: 2 });
    });

    test('one whose first recount was given up keeps them for the next', async (a) => {
      const settle = await loseOpens(a, 'release');
      await a.store.beginRecount({ org: ORG, counters: [OPENS] });
      expect(await settle({ as: 'commit' })).toEqual({ outcome: 'settled', late: false, overLimit: false });
      const tokens = await a.store.beginRecount({ org: ORG, counters: [OPENS] });
      const counts = tokens.map((token) => ({ ...token, count: 3, forgetAt: null }));
      expect(await a.store.finishRecount({ org: ORG, counts })).toMatchObject([{ applied: true }]);
      await a.expectCounter(OPENS, { committed: 3, held: 0, uncertain: 2 });
    });
  });
}
