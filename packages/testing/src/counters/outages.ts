import type { CounterStore } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { CounterStoreHost } from '../counter-store-host.ts';
import { charge, counterTests, DEVICES, ORG } from './counter-case.ts';

/** What a store does while the service behind it is down, and once it is back. */
export function counterOutages<S extends CounterStore>(host: CounterStoreHost<S>): void {
  const { outage } = host;
  const test = counterTests(host);
  const calls = (store: CounterStore, id: string) => [
    () => store.reserve({ org: ORG, id, charges: [charge()], rememberMs: 0, leaseMs: 1_000, maxHeld: 10 }),
    () => store.settle({ org: ORG, id, charges: [charge()], rememberMs: 0, as: 'commit' }),
    () => store.renew({ leases: [{ org: ORG, id }], leaseMs: 1_000 }),
    () =>
      store.adjust({ org: ORG, adjustments: [{ ...DEVICES, amount: 1, change: 'created', forgetAt: null }] }),
    () => store.read({ org: ORG, counters: [DEVICES] }),
    () => store.beginRecount({ org: ORG, counters: [DEVICES] }),
    () =>
      store.finishRecount({
        org: ORG,
        counts: [{ ...DEVICES, token: '', reading: null, count: 0, forgetAt: null }],
      }),
  ];

  if ('impossibleBecause' in outage) {
    describe(`outage: only by closing it, because ${outage.impossibleBecause}`, () => {
      test('once closed, every call fails as unavailable (Q13)', async (a) => {
        await a.count(DEVICES, 0);
        await a.store.close();
        for (const call of calls(a.store, 'r'))
          await expect(call()).rejects.toMatchObject({ code: 'quota_unavailable' });
      });
    });
    return;
  }

  const { answersWithinMs } = outage;
  describe('outage', () => {
    test('every call fails as unavailable, in bounded time, and never as a refusal (Q13)', async (a) => {
      await a.count(DEVICES, 0);
      await outage.break(a.store as S);
      try {
        for (const call of calls(a.store, 'r')) {
          const startedAt = performance.now();
          await expect(call()).rejects.toMatchObject({ code: 'quota_unavailable' });
          expect(performance.now() - startedAt).toBeLessThan(answersWithinMs);
        }
      } finally {
        await outage.mend(a.store as S);
      }
    });

    test('after it, what was stored is exact or unknown, and a repeated call counts once (Q3, Q9)', async (a) => {
      await a.count(DEVICES, 4);
      const kept = { rememberMs: host.timing.rememberMs };
      await a.reserve('before', kept);
      await outage.break(a.store as S);
      try {
        await expect(a.settle('before', { as: 'commit' }, kept)).rejects.toMatchObject({
          code: 'quota_unavailable',
        });
      } finally {
        await outage.mend(a.store as S);
      }
      await expect
        .poll(
          () =>
            a.read(DEVICES).then(
              () => 'answers',
              () => 'away',
            ),
          { timeout: 10_000 },
        )
        .toBe('answers');
      if ((await a.read(DEVICES)) === null)
        return expect(await a.reserve('next')).toMatchObject({ outcome: 'unknown' });
      const again = await a.settle('before', { as: 'commit' }, kept);
      expect(['settled', 'repeated']).toContain(again.outcome);
      const reading = await a.read(DEVICES);
      expect((reading?.committed ?? 0) + (reading?.uncertain ?? 0)).toBe(5);
      expect(reading?.held).toBe(0);
    });
  });
}
