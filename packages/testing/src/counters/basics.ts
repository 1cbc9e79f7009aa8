import type { CounterStore } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { CounterStoreHost } from '../counter-store-host.ts';
import { charge, counterTests, DEVICES, OPENS, ORG, ZONES } from './counter-case.ts';

/** How a store behaves towards one caller at a time. */
export function counterBasics<S extends CounterStore>(host: CounterStoreHost<S>): void {
  const test = counterTests(host);

  describe('counts', () => {
    test('a counter that was never counted is unknown, not zero (Q9)', async (a) => {
      expect(await a.reserve('r')).toEqual({ outcome: 'unknown', missing: [0] });
      expect(await a.read(DEVICES)).toBeNull();
      expect(await a.stored(DEVICES)).toBeNull();
    });

    test('a recount that was begun is no count yet (Q9)', async (a) => {
      const [token] = await a.store.beginRecount({ org: ORG, counters: [DEVICES] });
      if (!token) throw new Error('no token');
      expect(await a.read(DEVICES)).toBeNull();
      expect(await a.reserve('r')).toEqual({ outcome: 'unknown', missing: [0] });
      const adjustments = [{ ...DEVICES, amount: 1, change: 'created', forgetAt: null } as const];
      expect(await a.store.adjust({ org: ORG, adjustments })).toEqual({ missing: [0], repeated: false });
      await a.store.finishRecount({ org: ORG, counts: [{ ...token, count: 10, forgetAt: null }] });
      expect(await a.reserve('r')).toMatchObject({ outcome: 'denied' });
    });

    test('asking about an org without a count leaves nothing behind (T17)', async (a) => {
      for (const org of ['ghost-1', 'ghost-2', 'ghost-3']) {
        await a.reserve('r', { org });
        await a.settle('r', { as: 'commit' }, { org });
        await a.store.renew({ leases: [{ org, id: 'r' }], leaseMs: 1_000 });
        await a.store.read({ org, counters: [DEVICES, ZONES] });
        await a.store.adjust({
          org,
          id: 'x',
          rememberMs: 60_000,
          adjustments: [{ ...DEVICES, amount: 1, change: 'created', forgetAt: null }],
        });
      }
      expect(await a.orgs()).toEqual([]);
      expect(await a.records()).toBe(0);
    });

    test('the tenth of ten fits and the eleventh does not (Q1)', async (a) => {
      await a.count(DEVICES, 9);
      expect(await a.reserve('tenth')).toMatchObject({
        outcome: 'reserved',
        readings: [{ committed: 9, held: 1, uncertain: 0 }],
      });
      expect(await a.reserve('eleventh')).toMatchObject({
        outcome: 'denied',
        misfits: [0],
        readings: [{ committed: 9, held: 1 }],
      });
      await a.expectCounter(DEVICES, { committed: 9, held: 1, uncertain: 0 });
    });

    test('a limit of null never refuses and a limit of 0 always does', async (a) => {
      await a.count(DEVICES, 1_000_000);
      expect(await a.reserve('free', { charges: [charge({ limit: null, amount: 5 })] })).toMatchObject({
        outcome: 'reserved',
      });
      await a.count(ZONES, 0);
      expect(await a.reserve('none', { charges: [charge({ ...ZONES, limit: 0 })] })).toMatchObject({
        outcome: 'denied',
      });
    });

    test('several charges are held together or not at all, and the misfits are named (Q2, T26)', async (a) => {
      await a.count(DEVICES, 0);
      await a.count(ZONES, 2);
      await a.count(OPENS, 5);
      const charges = [charge(), charge({ ...ZONES, limit: 2 }), charge({ ...OPENS, limit: 4 })];
      expect(await a.reserve('r', { charges })).toMatchObject({ outcome: 'denied', misfits: [1, 2] });
      await a.expectCounter(DEVICES, { held: 0 });
      await a.expectCounter(ZONES, { held: 0 });
      await a.expectCounter(OPENS, { held: 0 });
    });

    test('missing counts are named before anything else is decided (Q2)', async (a) => {
      await a.count(ZONES, 2);
      const charges = [charge(), charge({ ...ZONES, limit: 2 }), charge(OPENS)];
      expect(await a.reserve('r', { charges, maxHeld: 0 })).toEqual({ outcome: 'unknown', missing: [0, 2] });
    });

    test('an org with too many live reservations is turned away before limits are looked at (T25)', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('one', { maxHeld: 2 });
      await a.reserve('two', { maxHeld: 2 });
      expect(await a.reserve('three', { maxHeld: 2, charges: [charge({ limit: 0 })] })).toEqual({
        outcome: 'crowded',
      });
      await a.settle('one', { as: 'release' });
      expect(await a.reserve('three', { maxHeld: 2 })).toMatchObject({ outcome: 'reserved' });
    });

    test('windows and orgs do not touch each other (Q10, T16)', async (a) => {
      await a.count(OPENS, 3);
      const before = await a.stored(OPENS);
      const lifetime = { ...OPENS, window: 'lifetime' };
      const others = [
        ...['acme:', 'acme}', 'acm', 'Acme'].map((org) => ({ org, counter: OPENS })),
        // This org id spells the org and window of the counter under test, as keys joined without escaping would.
        { org: `acme:${OPENS.window}`, counter: lifetime },
      ];
      for (const { org, counter } of others) {
        const [token] = await a.store.beginRecount({ org, counters: [counter] });
        if (!token) throw new Error('no token');
        await a.store.finishRecount({ org, counts: [{ ...token, count: 1, forgetAt: null }] });
        await a.reserve('r', { org, charges: [charge(counter)] });
      }
      const nextDay = { ...OPENS, window: 'day:2026-04-10' };
      await a.count(nextDay, 0);
      await a.reserve('r', { charges: [charge(nextDay)] });
      expect(await a.stored(OPENS)).toEqual(before);
      await a.expectCounter(OPENS, { committed: 3, held: 0 });
      await a.expectCounter(OPENS, { committed: 1, held: 1 }, 'acme}');
    });

    test('an org whose id reads like a part of another one is another one (Q10, T16)', async (a) => {
      await a.count(DEVICES, 1);
      await a.count(OPENS, 2);
      await a.reserve('r');
      const counters = [DEVICES, { ...OPENS, window: 'lifetime' }];
      const others = [`${ORG}:${OPENS.window}`, `${ORG}|l`, `${ORG}|i:r`, `${ORG}:lifetime`];
      for (const org of others) {
        expect(await a.store.read({ org, counters })).toEqual([null, null]);
        const tokens = await a.store.beginRecount({ org, counters });
        const counts = tokens.map((token) => ({ ...token, count: 7, forgetAt: null }));
        expect(await a.store.finishRecount({ org, counts })).toMatchObject([
          { applied: true },
          { applied: true },
        ]);
        await a.reserve('r', { org });
      }
      await a.expectCounter(DEVICES, { committed: 1, held: 1 });
      await a.expectCounter(OPENS, { committed: 2, held: 0 });
      for (const org of others) await a.expectCounter(DEVICES, { committed: 7, held: 1 }, org);
    });
  });

  describe('settling', () => {
    test('a commit keeps the units and a release gives them back', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('kept');
      await a.reserve('given-back');
      expect(await a.settle('kept', { as: 'commit' })).toEqual({
        outcome: 'settled',
        late: false,
        overLimit: false,
      });
      expect(await a.settle('given-back', { as: 'release' })).toEqual({
        outcome: 'settled',
        late: false,
        overLimit: false,
      });
      await a.expectCounter(DEVICES, { committed: 1, held: 0, uncertain: 0 });
      expect(await a.records()).toBe(0);
    });

    test('a partial commit keeps what it says of each charge and gives the rest back', async (a) => {
      await a.count(DEVICES, 0);
      await a.count(ZONES, 0);
      const charges = [charge({ amount: 5 }), charge({ ...ZONES, amount: 3 })];
      await a.reserve('r', { charges });
      await a.settle('r', { as: 'commit', amounts: [2, 0] }, { charges });
      await a.expectCounter(DEVICES, { committed: 2, held: 0 });
      await a.expectCounter(ZONES, { committed: 0, held: 0 });
    });

    test('an unknown end does what each charge says', async (a) => {
      for (const counter of [DEVICES, ZONES, OPENS]) await a.count(counter, 1);
      const charges = [
        charge({ amount: 2, onUnknown: 'uncertain' }),
        charge({ ...ZONES, amount: 2, onUnknown: 'release' }),
        charge({ ...OPENS, amount: 2, onUnknown: 'commit' }),
      ];
      await a.reserve('r', { charges });
      expect(await a.settle('r', { as: 'unknown' }, { charges })).toMatchObject({ outcome: 'settled' });
      await a.expectCounter(DEVICES, { committed: 1, held: 0, uncertain: 2 });
      await a.expectCounter(ZONES, { committed: 1, held: 0, uncertain: 0 });
      await a.expectCounter(OPENS, { committed: 3, held: 0, uncertain: 0 });
    });

    test('what is uncertain counts towards the limit until a recount tells (Q6, T24)', async (a) => {
      await a.count(DEVICES, 8);
      await a.reserve('r', { charges: [charge({ amount: 2 })] });
      await a.settle('r', { as: 'unknown' }, { charges: [charge({ amount: 2 })] });
      expect(await a.reserve('next')).toMatchObject({
        outcome: 'denied',
        readings: [{ committed: 8, held: 0, uncertain: 2 }],
      });
      await a.count(DEVICES, 8);
      expect(await a.reserve('next')).toMatchObject({ outcome: 'reserved' });
    });

    test('a reservation nobody made is gone, and so is one that was made with other charges', async (a) => {
      await a.count(DEVICES, 0);
      expect(await a.settle('never', { as: 'commit' })).toEqual({ outcome: 'gone' });
      await a.reserve('r');
      expect(await a.settle('r', { as: 'commit' }, { charges: [charge({ amount: 9 })] })).toEqual({
        outcome: 'gone',
      });
      await a.expectCounter(DEVICES, { committed: 0, held: 1 });
    });

    test('one id in two orgs is two reservations, each settled by itself (Q10)', async (a) => {
      const orgs = [ORG, 'globex'];
      for (const org of orgs) {
        const tokens = await a.store.beginRecount({ org, counters: [DEVICES] });
        await a.store.finishRecount({
          org,
          counts: tokens.map((token) => ({ ...token, count: 0, forgetAt: null })),
        });
        await a.reserve('r', { org });
      }
      for (const org of orgs)
        expect(await a.settle('r', { as: 'commit' }, { org })).toMatchObject({ outcome: 'settled' });
      await a.expectCounter(DEVICES, { committed: 1, held: 0 });
      await a.expectCounter(DEVICES, { committed: 1, held: 0 }, 'globex');
    });

    test('another handle on the same data settles what the first one reserved', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('r');
      expect(await a.settle('r', { as: 'commit' }, {}, await a.peer())).toMatchObject({ outcome: 'settled' });
      await a.expectCounter(DEVICES, { committed: 1, held: 0 });
    });
  });

  describe('changes outside a reservation', () => {
    const change = (
      kind: 'charged' | 'refunded' | 'created' | 'deleted',
      amount: number,
      counter = DEVICES,
    ) => ({
      org: ORG,
      adjustments: [{ ...counter, amount, change: kind, forgetAt: null }],
    });

    test('charges and refunds move the count, and a refund stops at 0', async (a) => {
      await a.count(OPENS, 2);
      await a.store.adjust(change('charged', 3, OPENS));
      await a.expectCounter(OPENS, { committed: 5, uncertain: 0 });
      await a.store.adjust(change('refunded', 1, OPENS));
      await a.expectCounter(OPENS, { committed: 4 });
      await a.store.adjust(change('refunded', 9, OPENS));
      await a.expectCounter(OPENS, { committed: 0, uncertain: 0 });
    });

    test('rows that came or went make units uncertain and free nothing by themselves', async (a) => {
      await a.count(DEVICES, 4);
      await a.store.adjust(change('created', 2));
      await a.expectCounter(DEVICES, { committed: 4, uncertain: 2 });
      await a.store.adjust(change('deleted', 3));
      await a.expectCounter(DEVICES, { committed: 1, uncertain: 5 });
      await a.store.adjust(change('deleted', 3));
      await a.expectCounter(DEVICES, { committed: 0, uncertain: 6 });
    });

    test('several changes happen together, or not at all when a count is missing', async (a) => {
      await a.count(DEVICES, 1);
      const adjustments = [...change('created', 1).adjustments, ...change('created', 1, ZONES).adjustments];
      expect(await a.store.adjust({ org: ORG, adjustments })).toEqual({ missing: [1], repeated: false });
      await a.expectCounter(DEVICES, { committed: 1, uncertain: 0 });
    });
  });

  test('a closed store fails every call as unavailable, not as a refusal (Q13)', async (a) => {
    await a.count(DEVICES, 0);
    const peer = await a.peer();
    await peer.close();
    await expect(a.reserve('r', {}, peer)).rejects.toMatchObject({ code: 'quota_unavailable' });
    await expect(peer.read({ org: ORG, counters: [DEVICES] })).rejects.toMatchObject({
      code: 'quota_unavailable',
    });
    await expect(a.settle('r', { as: 'release' }, {}, peer)).rejects.toMatchObject({
      code: 'quota_unavailable',
    });
  });
}
