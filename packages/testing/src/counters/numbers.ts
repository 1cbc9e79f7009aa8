import type { CounterStore } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { CounterStoreHost } from '../counter-store-host.ts';
import { charge, counterTests, DEVICES, ORG } from './counter-case.ts';

const MOST = Number.MAX_SAFE_INTEGER;

/** Which amounts, instants, ids and lists of charges a store accepts, and where its sums stop. */
export function counterNumbers<S extends CounterStore>(host: CounterStoreHost<S>): void {
  const test = counterTests(host);

  describe('numbers', () => {
    test('a sum above 2^53-1 is refused, or cut where it cannot be refused (Q7)', async (a) => {
      await a.count(DEVICES, MOST - 1);
      const two = { charges: [charge({ limit: null, amount: 2 })] };
      expect(await a.reserve('two', two)).toMatchObject({ outcome: 'denied', misfits: [0] });
      expect(await a.reserve('one', { charges: [charge({ limit: null })] })).toMatchObject({
        outcome: 'reserved',
      });
      await a.store.adjust({
        org: ORG,
        adjustments: [{ ...DEVICES, amount: MOST, change: 'created', forgetAt: null }],
      });
      await a.expectCounter(DEVICES, { committed: MOST - 1, held: 1, uncertain: 0 });
      await a.count(DEVICES, MOST);
      await a.expectCounter(DEVICES, { committed: MOST - 1, held: 1, uncertain: 0 });
    });

    test('a recount whose sum would pass 2^53-1 cuts what is uncertain first (Q7)', async (a) => {
      await a.count(DEVICES, 0);
      await a.reserve('r');
      const [token] = await a.store.beginRecount({ org: ORG, counters: [DEVICES] });
      if (!token) throw new Error('no token');
      const adjustments = [{ ...DEVICES, amount: 5, change: 'created', forgetAt: null } as const];
      await a.store.adjust({ org: ORG, adjustments });
      const counts = [{ ...token, count: MOST - 3, forgetAt: null }];
      expect(await a.store.finishRecount({ org: ORG, counts })).toEqual([
        { ...DEVICES, applied: true, uncertain: 2 },
      ]);
      await a.expectCounter(DEVICES, { committed: MOST - 3, held: 1, uncertain: 2 });
    });

    test('what is no amount is refused before anything changes (Q7, T23)', async (a) => {
      await a.count(DEVICES, 1);
      for (const amount of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, MOST + 1]) {
        await expect(a.reserve('r', { charges: [charge({ amount })] })).rejects.toMatchObject({
          code: 'invalid_amount',
        });
        const adjustments = [{ ...DEVICES, amount, change: 'created', forgetAt: null } as const];
        await expect(a.store.adjust({ org: ORG, adjustments })).rejects.toMatchObject({
          code: 'invalid_amount',
        });
      }
      for (const limit of [-1, 0.5, Number.NaN, MOST + 1]) {
        await expect(a.reserve('r', { charges: [charge({ limit })] })).rejects.toMatchObject({
          code: 'invalid_limit',
        });
      }
      const [token] = await a.store.beginRecount({ org: ORG, counters: [DEVICES] });
      if (!token) throw new Error('no token');
      for (const count of [-1, 0.5, Number.NaN]) {
        const counts = [{ ...token, count, forgetAt: null }];
        await expect(a.store.finishRecount({ org: ORG, counts })).rejects.toMatchObject({
          code: 'invalid_amount',
        });
      }
      await a.reserve('r', { charges: [charge({ amount: 2 })] });
      for (const amounts of [[3], [-1], [0.5], [], [1, 1]]) {
        const settling = a.settle('r', { as: 'commit', amounts }, { charges: [charge({ amount: 2 })] });
        await expect(settling).rejects.toMatchObject({ code: 'invalid_amount' });
      }
      await a.expectCounter(DEVICES, { committed: 1, held: 2, uncertain: 0 });
    });

    test('what is no duration and no instant is refused before anything changes (Q7, T23)', async (a) => {
      await a.count(DEVICES, 1);
      await a.reserve('r');
      const { store } = a;
      const leases = [{ org: ORG, id: 'r' }];
      for (const bad of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        const adjustments = [{ ...DEVICES, amount: 1, change: 'created', forgetAt: null } as const];
        const late = adjustments.map((adjustment) => ({ ...adjustment, forgetAt: bad }));
        const [token] = await store.beginRecount({ org: ORG, counters: [DEVICES] });
        if (!token) throw new Error('no token');
        for (const call of [
          () => a.reserve('s', { charges: [charge({ forgetAt: bad })] }),
          () => a.reserve('s', { rememberMs: bad }),
          () => store.renew({ leases, leaseMs: bad }),
          () => store.adjust({ org: ORG, adjustments, id: 'a', rememberMs: bad }),
          () => store.adjust({ org: ORG, adjustments: late }),
          () => store.finishRecount({ org: ORG, counts: [{ ...token, count: 5, forgetAt: bad }] }),
        ]) {
          await expect(call()).rejects.toMatchObject({ code: 'invalid_request' });
        }
      }
      await expect(store.renew({ leases, leaseMs: 0 })).rejects.toMatchObject({ code: 'invalid_request' });
      const rememberMs = 30 * 86_400_000 + 1;
      const adjustments = [{ ...DEVICES, amount: 1, change: 'created', forgetAt: null } as const];
      for (const call of [
        () => a.reserve('s', { rememberMs }),
        () => a.settle('r', { as: 'commit' }, { rememberMs }),
        () => store.adjust({ org: ORG, adjustments, id: 'a', rememberMs }),
      ]) {
        await expect(call(), 'more than 30 days').rejects.toMatchObject({ code: 'invalid_request' });
      }
      await a.expectCounter(DEVICES, { committed: 1, held: 1, uncertain: 0 });
    });

    test('a reservation without charges, with a counter twice or with an odd id is refused', async (a) => {
      await a.count(DEVICES, 0);
      for (const charges of [[], [charge(), charge({ amount: 2 })]]) {
        await expect(a.reserve('r', { charges })).rejects.toMatchObject({ code: 'invalid_request' });
      }
      const none = undefined as never;
      for (const charges of [
        none,
        null as never,
        [null as never],
        [charge({ key: none })],
        [charge({ window: none })],
        [charge({ key: 'cut \ud83d' })],
        [charge({ onUnknown: 'lost' as never })],
      ]) {
        const settling = a.store.settle({ org: ORG, id: 'r', charges, rememberMs: 0, as: 'commit' });
        await expect(settling).rejects.toMatchObject({ code: 'invalid_request' });
      }
      const nobody = { org: none, id: 'r', charges: [charge()], rememberMs: 0, as: 'commit' } as const;
      await expect(a.store.settle(nobody)).rejects.toMatchObject({ code: 'invalid_request' });
      await a.reserve('r');
      const adjustments = [{ ...DEVICES, amount: 1, change: 'charged', forgetAt: null } as const];
      const missing = undefined as unknown as string;
      for (const id of [
        '',
        'x'.repeat(129),
        'line\nbreak',
        'naïve',
        '\ud800',
        missing,
        7 as unknown as string,
      ]) {
        const leases = [
          { org: ORG, id: 'r' },
          { org: ORG, id },
        ];
        for (const call of [
          () => a.reserve(id),
          () => a.settle(id, { as: 'commit' }),
          () => a.store.renew({ leases, leaseMs: 1 }),
          ...(id === missing ? [] : [() => a.store.adjust({ org: ORG, adjustments, id })]),
        ]) {
          await expect(call(), id).rejects.toMatchObject({ code: 'invalid_request' });
        }
      }
      await a.expectCounter(DEVICES, { committed: 0, held: 1 });
    });
  });
}
