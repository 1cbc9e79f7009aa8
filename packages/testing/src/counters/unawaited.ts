import type { CounterStore, Reservation, SettleAs, SettleOutcome } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { CounterStoreHost } from '../counter-store-host.ts';
import { type CounterCase, charge, counterTests, DEVICES, OPENS } from './counter-case.ts';

/** The outcome that an unawaited settle reports. A store without `settleUnawaited` gets a plain `settle`, as from the engine. */
function outcomeOf(store: CounterStore, reservation: Reservation, as: SettleAs): Promise<SettleOutcome> {
  if (store.settleUnawaited === undefined) return store.settle({ ...reservation, as });
  return new Promise((settled, failed) => store.settleUnawaited?.(reservation, as, { settled, failed }));
}

/** Unawaited settles end in the same way as awaited ones. */
export function counterUnawaited<S extends CounterStore>(host: CounterStoreHost<S>): void {
  const test = counterTests(host);
  const done = { outcome: 'settled', late: false, overLimit: false };

  async function held(a: CounterCase, rememberMs = 0) {
    await a.count(DEVICES, 3);
    await a.reserve('r', { rememberMs });
    return a.reservation('r', { rememberMs });
  }

  describe('settles that nobody waits for', () => {
    const ends = {
      commit: { committed: 4, held: 0, uncertain: 0 },
      release: { committed: 3, held: 0, uncertain: 0 },
      unknown: { committed: 3, held: 0, uncertain: 1 },
    } as const;
    for (const as of ['commit', 'release', 'unknown'] as const) {
      test(`${as}: tells its outcome, and does the same`, async (a) => {
        expect(await outcomeOf(a.store, await held(a), as)).toEqual(done);
        await a.expectCounter(DEVICES, ends[as]);
      });
    }

    test('settle once (Q3)', async (a) => {
      const reservation = await held(a, host.timing.rememberMs);
      expect(await outcomeOf(a.store, reservation, 'commit')).toEqual(done);
      expect(await outcomeOf(a.store, reservation, 'release')).toEqual({
        outcome: 'repeated',
        state: 'committed',
      });
      await a.expectCounter(DEVICES, { committed: 4, held: 0 });
    });

    test('make way for the next create of the org when they are told (Q1)', async (a) => {
      await a.count(DEVICES, 9);
      await a.reserve('r');
      expect(await a.reserve('too early')).toMatchObject({ outcome: 'denied' });
      expect(await outcomeOf(a.store, a.reservation('r'), 'release')).toEqual(done);
      expect(await a.reserve('next')).toMatchObject({ outcome: 'reserved' });
      expect(await a.reserve('one more')).toMatchObject({ outcome: 'denied' });
    });

    test('tell of a time to be remembered that is none, whatever else is asked meanwhile', async (a) => {
      const { org, id, charges } = await held(a);
      const bad = outcomeOf(a.store, { org, id, charges } as Reservation, 'release').catch((error) => error);
      const other = a.reserve('other', { org: 'another' });
      expect(await bad).toMatchObject({ code: 'invalid_request' });
      expect(await other).toMatchObject({ outcome: 'unknown' });
    });

    test('say when there is nothing to settle', async (a) => {
      await a.count(DEVICES, 0);
      expect(await outcomeOf(a.store, a.reservation('never made'), 'commit')).toEqual({ outcome: 'gone' });
    });

    test('tell of a reservation that is none, and change nothing', async (a) => {
      const wrong = a.reservation('r', { charges: [charge({ ...OPENS, amount: 0.5 })] });
      await expect(outcomeOf(a.store, wrong, 'commit')).rejects.toMatchObject({ code: 'invalid_amount' });
      expect(await a.orgs()).toEqual([]);
    });

    test('are told of a closed store', async (a) => {
      const reservation = await held(a);
      await a.store.close();
      await expect(outcomeOf(a.store, reservation, 'commit')).rejects.toMatchObject({
        code: 'quota_unavailable',
      });
    });
  });
}
