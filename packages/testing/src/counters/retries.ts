import type { CounterStore } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { CounterStoreHost } from '../counter-store-host.ts';
import { charge, counterTests, DEVICES, ORG, ZONES } from './counter-case.ts';

/** Retries: the same call with the same id has its effect once, however often it is made (Q3). */
export function counterRetries<S extends CounterStore>(host: CounterStoreHost<S>): void {
  const test = counterTests(host);
  const kept = { rememberMs: host.timing.rememberMs };

  describe('retries', () => {
    test('the same reserve again answers its state and holds nothing more (Q3)', async (a) => {
      await a.count(DEVICES, 0);
      expect(await a.reserve('r', kept)).toMatchObject({ outcome: 'reserved' });
      expect(await a.reserve('r', kept)).toEqual({ outcome: 'repeated', state: 'held' });
      await a.expectCounter(DEVICES, { held: 1 });
      await a.settle('r', { as: 'commit' }, kept);
      expect(await a.reserve('r', kept)).toEqual({ outcome: 'repeated', state: 'committed' });
      await a.expectCounter(DEVICES, { committed: 1, held: 0 });
    });

    test('a repeat is known even when a count is missing or the org is full', async (a) => {
      await a.count(DEVICES, 10);
      await a.reserve('full', { ...kept, charges: [charge({ limit: 11 })] });
      expect(await a.reserve('full', { ...kept, maxHeld: 0, charges: [charge({ limit: 1 })] })).toMatchObject(
        { outcome: 'repeated' },
      );
    });

    test('the same id with other charges conflicts and changes nothing (Q3)', async (a) => {
      await a.count(DEVICES, 0);
      await a.count(ZONES, 0);
      await a.reserve('r', kept);
      const others = [
        [charge({ amount: 2 })],
        [charge({ window: 'other' })],
        [charge(ZONES)],
        [charge(), charge(ZONES)],
      ];
      for (const charges of others)
        expect(await a.reserve('r', { ...kept, charges })).toEqual({ outcome: 'conflict' });
      await a.settle('r', { as: 'commit' }, kept);
      for (const charges of others)
        expect(await a.reserve('r', { ...kept, charges })).toEqual({ outcome: 'conflict' });
      await a.expectCounter(DEVICES, { committed: 1, held: 0 });
      await a.expectCounter(ZONES, { committed: 0, held: 0 });
    });

    test('a changed limit is no conflict: a plan may change between two tries', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('r', kept);
      expect(await a.reserve('r', { ...kept, charges: [charge({ limit: 50 })] })).toEqual({
        outcome: 'repeated',
        state: 'held',
      });
    });

    for (const [first, state] of [
      ['commit', 'committed'],
      ['release', 'released'],
      ['unknown', 'unknown'],
    ] as const) {
      test(`after a ${first} every further settle changes nothing and says so (Q4)`, async (a) => {
        await a.count(DEVICES, 0);
        await a.reserve('r', kept);
        expect(await a.settle('r', { as: first }, kept)).toMatchObject({ outcome: 'settled' });
        const before = await a.stored(DEVICES);
        for (const as of ['commit', 'release', 'unknown'] as const) {
          expect(await a.settle('r', { as }, kept)).toEqual({ outcome: 'repeated', state });
        }
        expect(await a.stored(DEVICES)).toEqual(before);
      });
    }

    test('an id that need not be remembered is free again once it is settled', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('r');
      await a.settle('r', { as: 'commit' });
      expect(await a.settle('r', { as: 'commit' })).toEqual({ outcome: 'gone' });
      expect(await a.reserve('r')).toMatchObject({ outcome: 'reserved' });
      await a.expectCounter(DEVICES, { committed: 1, held: 1 });
    });

    for (const first of ['commit', 'release', 'unknown'] as const) {
      test(`a ${first} may ask that its id be remembered, whatever the reserve asked (Q3, Q4)`, async (a) => {
        const state = first === 'commit' ? 'committed' : first === 'release' ? 'released' : 'unknown';
        await a.count(DEVICES, 0);
        await a.reserve('r');
        expect(await a.settle('r', { as: first }, kept)).toMatchObject({ outcome: 'settled' });
        const before = await a.stored(DEVICES);
        expect(await a.settle('r', { as: 'commit' }, kept)).toEqual({ outcome: 'repeated', state });
        expect(await a.settle('r', { as: 'commit' })).toEqual({ outcome: 'repeated', state });
        expect(await a.reserve('r')).toEqual({ outcome: 'repeated', state });
        expect(await a.stored(DEVICES)).toEqual(before);
        await a.advance(host.timing.rememberMs - host.timing.slackMs - 1);
        expect(await a.settle('r', { as: 'commit' })).toEqual({ outcome: 'repeated', state });
        await a.past();
        expect(await a.settle('r', { as: 'commit' })).toEqual({ outcome: 'gone' });
      });
    }

    test('a part of a commit, and a late one, may ask that their ids be remembered', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('part', { charges: [charge({ amount: 3 })] });
      const part = { charges: [charge({ amount: 3 })], ...kept };
      expect(await a.settle('part', { as: 'commit', amounts: [2] }, part)).toMatchObject({
        outcome: 'settled',
      });
      expect(await a.settle('part', { as: 'commit' }, part)).toEqual({
        outcome: 'repeated',
        state: 'committed',
      });
      await a.reserve('late');
      await a.advance(host.timing.leaseMs + host.timing.slackMs + 1);
      expect(await a.settle('late', { as: 'commit' }, kept)).toMatchObject({
        outcome: 'settled',
        late: true,
      });
      expect(await a.settle('late', { as: 'commit' }, kept)).toEqual({
        outcome: 'repeated',
        state: 'committed',
      });
      await a.expectCounter(DEVICES, { committed: 3, held: 0, uncertain: 0 });
    });

    test('a reserve that asked for longer is remembered for as long, whatever its settle asks', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('r', kept);
      await a.settle('r', { as: 'commit' });
      expect(await a.settle('r', { as: 'commit' })).toEqual({ outcome: 'repeated', state: 'committed' });
    });

    test('a refused reserve leaves its id free (Q3)', async (a) => {
      await a.count(DEVICES, 10);
      expect(await a.reserve('r', kept)).toMatchObject({ outcome: 'denied' });
      expect(await a.settle('r', { as: 'commit' }, kept)).toEqual({ outcome: 'gone' });
      await a.count(DEVICES, 9);
      expect(await a.reserve('r', kept)).toMatchObject({ outcome: 'reserved' });
    });

    test('an adjustment with an id happens once, whatever the reservations are called', async (a) => {
      await a.count(DEVICES, 5);
      await a.reserve('same');
      const adjustments = [{ ...DEVICES, amount: 2, change: 'deleted', forgetAt: null } as const];
      const request = { org: ORG, id: 'same', ...kept, adjustments };
      expect(await a.store.adjust(request)).toEqual({ missing: [], repeated: false });
      expect(await a.store.adjust(request)).toEqual({ missing: [], repeated: true });
      await a.expectCounter(DEVICES, { committed: 3, held: 1, uncertain: 2 });
    });

    test('an adjustment that found a count missing is not remembered', async (a) => {
      const adjustments = [{ ...DEVICES, amount: 2, change: 'created', forgetAt: null } as const];
      const request = { org: ORG, id: 'x', ...kept, adjustments };
      expect(await a.store.adjust(request)).toEqual({ missing: [0], repeated: false });
      await a.count(DEVICES, 0);
      expect(await a.store.adjust(request)).toEqual({ missing: [], repeated: false });
      await a.expectCounter(DEVICES, { uncertain: 2 });
    });
  });
}
