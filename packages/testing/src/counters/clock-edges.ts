import type { CounterRef, CounterStore } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { CounterStoreHost } from '../counter-store-host.ts';
import { charge, counterTests, DEVICES, OPENS, ORG, ZONES } from './counter-case.ts';

/** What changes through time alone, on the store's own clock. */
export function counterClockEdges<S extends CounterStore>(host: CounterStoreHost<S>): void {
  const test = counterTests(host);
  const { leaseMs, rememberMs, lapsedKeepMs } = host.timing;
  const released = [charge({ limit: 1, onUnknown: 'release' })];

  describe('clock edges', () => {
    test('a dead holder keeps its units until its lease ends, and not a moment longer (Q5)', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('dead', { charges: released });
      await a.upTo(leaseMs);
      expect(await a.reserve('next', { charges: released })).toMatchObject({ outcome: 'denied' });
      await a.past();
      expect(await a.reserve('next', { charges: released })).toMatchObject({ outcome: 'reserved' });
    });

    test('a begun recount of a counter without a count is waited for ten minutes after the last begin (Q8)', async (a) => {
      const begin = (...counters: readonly CounterRef[]) => a.store.beginRecount({ org: ORG, counters });
      const [, zones] = await begin(DEVICES, ZONES);
      await a.advance(400_000);
      const [devices] = await begin(DEVICES);
      await a.advance(400_000);
      const counts = [devices, zones].flatMap((token) =>
        token ? [{ ...token, count: 3, forgetAt: null }] : [],
      );
      expect(await a.store.finishRecount({ org: ORG, counts })).toMatchObject([
        { ...DEVICES, applied: true },
        { ...ZONES, applied: false },
      ]);
    });

    test('units of a lease that ran out become what their charge says', async (a) => {
      for (const counter of [DEVICES, ZONES, OPENS]) await a.count(counter, 1);
      const charges = [
        charge({ amount: 2, onUnknown: 'uncertain' }),
        charge({ ...ZONES, amount: 2, onUnknown: 'release' }),
        charge({ ...OPENS, amount: 2, onUnknown: 'commit' }),
      ];
      await a.reserve('r', { charges });
      await a.upTo(leaseMs);
      expect(await a.read(DEVICES)).toMatchObject({ committed: 1, held: 2, uncertain: 0 });
      await a.past();
      expect(await a.read(DEVICES)).toMatchObject({ committed: 1, held: 0, uncertain: 2 });
      expect(await a.read(ZONES)).toMatchObject({ committed: 1, held: 0, uncertain: 0 });
      expect(await a.read(OPENS)).toMatchObject({ committed: 3, held: 0, uncertain: 0 });
    });

    test('units that a lapse committed and a refund took since are not taken twice (Q7)', async (a) => {
      await a.count(OPENS, 0);
      const charges = [charge({ ...OPENS, amount: 3, onUnknown: 'commit' })];
      await a.reserve('r', { charges });
      await a.upTo(leaseMs);
      await a.past();
      const change = { ...OPENS, amount: 2, change: 'refunded', forgetAt: null } as const;
      await a.store.adjust({ org: ORG, adjustments: [change] });
      await a.expectCounter(OPENS, { committed: 1, held: 0, uncertain: 0 });
      await a.settle('r', { as: 'release' }, { charges });
      await a.expectCounter(OPENS, { committed: 0, held: 0, uncertain: 0 });
    });

    test('a renewed lease lasts from the renewal, and a lapsed one stays lapsed', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('kept', { charges: released });
      const renew = () =>
        a.store.renew({
          leases: [
            { org: ORG, id: 'kept' },
            { org: ORG, id: 'never' },
          ],
          leaseMs,
        });
      await a.upTo(leaseMs);
      expect(await renew()).toEqual([true, false]);
      await a.upTo(leaseMs);
      expect(await a.read(DEVICES)).toMatchObject({ held: 1 });
      await a.past();
      expect(await renew()).toEqual([false, false]);
      expect(await a.read(DEVICES)).toMatchObject({ held: 0 });
    });

    test('a lease is renewed, and a count forgotten, in its own org alone (Q10)', async (a) => {
      const orgs = [ORG, 'globex'];
      const forgetAt = (await a.now()) + 2 * leaseMs;
      for (const org of orgs) {
        const tokens = await a.store.beginRecount({ org, counters: [DEVICES, OPENS] });
        const counts = tokens.map((token) => ({
          ...token,
          count: 1,
          forgetAt: token.key === OPENS.key && org === ORG ? forgetAt : null,
        }));
        await a.store.finishRecount({ org, counts });
        await a.reserve('r', { org });
      }
      await a.upTo(leaseMs);
      expect(await a.store.renew({ leases: [{ org: ORG, id: 'r' }], leaseMs: 2 * leaseMs })).toEqual([true]);
      await a.past();
      expect(await a.read(DEVICES)).toMatchObject({ held: 1 });
      expect(await a.read(DEVICES, 'globex')).toMatchObject({ held: 0, uncertain: 1 });
      await a.advance(leaseMs);
      expect(await a.reserve('s', { charges: [charge(OPENS)] })).toMatchObject({ outcome: 'unknown' });
      expect(await a.read(OPENS, 'globex')).toMatchObject({ committed: 1 });
    });

    test('a repeated reserve does not lengthen the lease', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('r', { charges: released });
      await a.upTo(leaseMs);
      await a.reserve('r', { charges: released });
      await a.past();
      expect(await a.reserve('r', { charges: released })).toEqual({ outcome: 'repeated', state: 'lapsed' });
    });

    test('lapsed leases do not count towards the live ones (T25)', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('one', { maxHeld: 1 });
      expect(await a.reserve('two', { maxHeld: 1 })).toEqual({ outcome: 'crowded' });
      await a.upTo(leaseMs);
      await a.past();
      expect(await a.reserve('two', { maxHeld: 1 })).toMatchObject({ outcome: 'reserved' });
    });

    test('a late commit is counted, once, and says so', async (a) => {
      for (const counter of [DEVICES, ZONES, OPENS]) await a.count(counter, 1);
      const charges = [
        charge({ amount: 3, onUnknown: 'uncertain' }),
        charge({ ...ZONES, amount: 3, onUnknown: 'release' }),
        charge({ ...OPENS, amount: 3, onUnknown: 'commit' }),
      ];
      await a.reserve('slow', { charges, rememberMs });
      await a.upTo(leaseMs);
      await a.past();
      expect(await a.settle('slow', { as: 'commit', amounts: [2, 2, 2] }, { charges })).toEqual({
        outcome: 'settled',
        late: true,
        overLimit: false,
      });
      for (const counter of [DEVICES, ZONES, OPENS])
        await a.expectCounter(counter, { committed: 3, held: 0, uncertain: 0 });
      expect(await a.settle('slow', { as: 'commit' }, { charges })).toEqual({
        outcome: 'repeated',
        state: 'committed',
      });
    });

    test('a late commit above the limit is counted all the same and reported (Q1x)', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('slow', { charges: released });
      await a.upTo(leaseMs);
      await a.past();
      await a.reserve('next', { charges: released });
      expect(await a.settle('slow', { as: 'commit' }, { charges: released })).toEqual({
        outcome: 'settled',
        late: true,
        overLimit: true,
      });
      await a.expectCounter(DEVICES, { committed: 1, held: 1 });
    });

    test('it is reported by the limit it was reserved against, whatever limit the settle tells', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('slow', { charges: released });
      await a.upTo(leaseMs);
      await a.past();
      await a.reserve('next', { charges: released });
      const raised = released.map((one) => ({ ...one, limit: 100 }));
      expect(await a.settle('slow', { as: 'commit' }, { charges: raised })).toMatchObject({
        late: true,
        overLimit: true,
      });
    });

    test('a late release takes back what the lapse left uncertain', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('slow');
      await a.upTo(leaseMs);
      await a.past();
      expect(await a.settle('slow', { as: 'release' })).toEqual({
        outcome: 'settled',
        late: false,
        overLimit: false,
      });
      await a.expectCounter(DEVICES, { committed: 0, held: 0, uncertain: 0 });
    });

    test('a recount begun after the lapse settles what it left uncertain; a later commit is then uncertain (Q8)', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('slow');
      await a.upTo(leaseMs);
      await a.past();
      await a.count(DEVICES, 1);
      expect(await a.read(DEVICES)).toMatchObject({ committed: 1, held: 0, uncertain: 0 });
      expect(await a.settle('slow', { as: 'commit' })).toMatchObject({ outcome: 'settled', late: true });
      await a.expectCounter(DEVICES, { committed: 1, held: 0, uncertain: 1 });
    });

    test('a recount begun before the lapse leaves it uncertain, and a late commit is not counted twice (Q8)', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('slow');
      await a.upTo(leaseMs);
      const tokens = await a.store.beginRecount({ org: ORG, counters: [DEVICES] });
      await a.past();
      const counts = tokens.map((token) => ({ ...token, count: 0, forgetAt: null }));
      expect(await a.store.finishRecount({ org: ORG, counts })).toMatchObject([
        { applied: true, uncertain: 1 },
      ]);
      expect(await a.settle('slow', { as: 'commit' })).toMatchObject({ outcome: 'settled', late: true });
      await a.expectCounter(DEVICES, { committed: 0, held: 0, uncertain: 1 });
    });

    test('what a recount left uncertain of a lapse, the next one settles: a late commit then takes from nobody else (Q8)', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('slow');
      await a.upTo(leaseMs);
      const tokens = await a.store.beginRecount({ org: ORG, counters: [DEVICES] });
      await a.past();
      await a.store.finishRecount({
        org: ORG,
        counts: tokens.map((token) => ({ ...token, count: 0, forgetAt: null })),
      });
      await a.count(DEVICES, 1);
      await a.store.adjust({
        org: ORG,
        adjustments: [{ ...DEVICES, amount: 1, change: 'created', forgetAt: null }],
      });
      await a.settle('slow', { as: 'commit' });
      await a.expectCounter(DEVICES, { committed: 1, held: 0, uncertain: 2 });
    });

    test('a late commit takes nothing from a count that was lost and taken anew since the lapse', async (a) => {
      const charges = [
        charge({ ...OPENS, amount: 3, onUnknown: 'commit', forgetAt: (await a.now()) + 2 * leaseMs }),
      ];
      await a.count(OPENS, 0, (await a.now()) + 2 * leaseMs);
      await a.reserve('slow', { charges });
      await a.upTo(leaseMs);
      await a.past();
      expect(await a.read(OPENS)).toMatchObject({ committed: 3 });
      await a.upTo(leaseMs);
      await a.past();
      expect(await a.read(OPENS)).toBeNull();
      await a.count(OPENS, 5);
      await a.settle('slow', { as: 'commit', amounts: [1] }, { charges });
      await a.expectCounter(OPENS, { committed: 6, held: 0, uncertain: 0 });
    });

    test('a late commit counts once in a window that began while other ids were remembered', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('kept', { rememberMs: 3_600_000 });
      await a.settle('kept', { as: 'commit' }, { rememberMs: 3_600_000 });
      const forgetAt = (await a.now()) + 9 * leaseMs;
      await a.count(OPENS, 0, forgetAt);
      const charges = [charge({ ...OPENS, amount: 3, onUnknown: 'commit', forgetAt })];
      await a.reserve('slow', { charges });
      await a.upTo(leaseMs);
      await a.past();
      await a.settle('slow', { as: 'commit' }, { charges });
      await a.expectCounter(OPENS, { committed: 3, held: 0, uncertain: 0 });
    });

    test('a lapsed lease is kept for a late commit, then it is gone and its units stay uncertain', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('slow');
      await a.upTo(leaseMs + lapsedKeepMs);
      expect(await a.reserve('slow')).toEqual({ outcome: 'repeated', state: 'lapsed' });
      await a.past();
      expect(await a.settle('slow', { as: 'commit' })).toEqual({ outcome: 'gone' });
      expect(await a.read(DEVICES)).toMatchObject({ committed: 0, held: 0, uncertain: 1 });
      await a.count(DEVICES, 1);
      await a.expectCounter(DEVICES, { committed: 1, held: 0, uncertain: 0 });
    });

    test('a settled id is remembered as long as it was asked to be, and then it is new', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('r', { rememberMs });
      await a.settle('r', { as: 'commit' }, { rememberMs });
      await a.upTo(rememberMs);
      expect(await a.reserve('r', { rememberMs })).toEqual({ outcome: 'repeated', state: 'committed' });
      await a.past();
      expect(await a.reserve('r', { rememberMs })).toMatchObject({ outcome: 'reserved' });
    });

    test('an adjustment is remembered as long as it was asked to be', async (a) => {
      await a.count(DEVICES, 5);
      const adjustments = [{ ...DEVICES, amount: 1, change: 'created', forgetAt: null } as const];
      const request = { org: ORG, id: 'x', rememberMs, adjustments };
      await a.store.adjust(request);
      await a.upTo(rememberMs);
      expect(await a.store.adjust(request)).toMatchObject({ repeated: true });
      await a.past();
      expect(await a.store.adjust(request)).toMatchObject({ repeated: false });
      expect(await a.store.adjust(request)).toMatchObject({ repeated: true });
      await a.expectCounter(DEVICES, { uncertain: 2 });
    });

    test('a counter is unknown again from its forgetAt on, and other windows are not touched (Q9)', async (a) => {
      const forgetAt = (await a.now()) + leaseMs;
      const nextDay = { ...OPENS, window: 'day:2026-04-10' };
      await a.count(OPENS, 3, forgetAt);
      await a.count(nextDay, 1, forgetAt + 100 * leaseMs);
      await a.upTo(leaseMs);
      expect(await a.read(OPENS)).toMatchObject({ committed: 3 });
      await a.past();
      expect(await a.read(OPENS)).toBeNull();
      expect(await a.reserve('r', { charges: [charge(OPENS)] })).toEqual({
        outcome: 'unknown',
        missing: [0],
      });
      expect(await a.read(nextDay)).toMatchObject({ committed: 1 });
    });

    test('a counter that is counted when its forgetAt is over is unknown to what is asked right behind (Q1, Q9)', async (a) => {
      const forgetAt = await a.now();
      await a.advance(1 + host.timing.slackMs);
      for (let round = 1; round <= 2; round++) {
        const [token] = await a.store.beginRecount({ org: ORG, counters: [OPENS] });
        if (!token) throw new Error('no token');
        expect(token.reading).toBeNull();
        const counts = [{ ...token, count: 0, forgetAt }];
        const reserve = () => a.reserve(`r${round}`, { charges: [charge(OPENS)] });
        const [finished, reserved] = await Promise.all([
          a.store.finishRecount({ org: ORG, counts }),
          reserve(),
        ]);
        expect(finished).toMatchObject([{ applied: true }]);
        expect(reserved).toEqual({ outcome: 'unknown', missing: [0] });
        expect(await reserve()).toEqual({ outcome: 'unknown', missing: [0] });
        expect(await a.read(OPENS)).toBeNull();
        expect(await a.store.finishRecount({ org: ORG, counts }), 'its token is spent').toMatchObject([
          { applied: false },
        ]);
      }
    });

    test('of several instants to forget a counter at, the latest counts', async (a) => {
      const forgetAt = (await a.now()) + leaseMs;
      await a.count(OPENS, 0, forgetAt);
      await a.reserve('longer', {
        charges: [charge({ ...OPENS, forgetAt: forgetAt + 100 * leaseMs })],
        leaseMs: 50 * leaseMs,
      });
      await a.reserve('shorter', { charges: [charge({ ...OPENS, forgetAt })], leaseMs: 50 * leaseMs });
      await a.upTo(leaseMs);
      await a.past();
      expect(await a.read(OPENS)).toMatchObject({ held: 2 });
    });

    test('a count taken before the counter was lost and came back is not applied', async (a) => {
      const [stale] = await a.store.beginRecount({ org: ORG, counters: [OPENS] });
      if (!stale) throw new Error('no token');
      await a.count(OPENS, 3, (await a.now()) + leaseMs);
      await a.upTo(leaseMs);
      await a.past();
      expect(await a.read(OPENS)).toBeNull();
      const counts = [{ ...stale, count: 0, forgetAt: null }];
      expect(await a.store.finishRecount({ org: ORG, counts })).toMatchObject([{ applied: false }]);
      expect(await a.read(OPENS)).toBeNull();
    });

    test('the age of a count grows from the end of its recount', async (a) => {
      await a.count(DEVICES, 0);
      await a.upTo(leaseMs);
      const age = (await a.read(DEVICES))?.countAgeMs ?? 0;
      expect(age).toBeGreaterThanOrEqual(leaseMs - 2 * host.timing.slackMs - 2);
      await a.count(DEVICES, 0);
      expect((await a.read(DEVICES))?.countAgeMs).toBeLessThanOrEqual(host.timing.slackMs);
    });
  });
}
