import { expect, it } from 'vitest';
import { nextChangeAt } from './next-change.ts';

const billing = (expiries: readonly (number | null)[], pastDue: readonly (number | null)[]) =>
  ({
    overrides: expiries.map((expiresAt) => ({ expiresAt })),
    subscriptions: pastDue.map((pastDueAt) => ({ pastDueAt })),
  }) as unknown as Parameters<typeof nextChangeAt>[0];

it('is the first instant from now on at which limits change by themselves: an expiry, or the end of a grace', () => {
  const at = (now: number) => nextChangeAt(billing([500, null, 900], [null, 600]), now, 100);
  expect([0, 499, 500, 699, 700, 899, 900].map(at)).toEqual([500, 500, 700, 700, 900, 900, null]);
  expect(nextChangeAt(billing([null], [null]), 0, 100)).toBeNull();
});

it('is the end of a plan granted by hand as well, and not the one that a provider plans', () => {
  const ending = (provider: string) =>
    ({
      overrides: [],
      subscriptions: [{ provider, cancelsAt: 500, pastDueAt: null }],
    }) as unknown as Parameters<typeof nextChangeAt>[0];
  expect([0, 499, 500].map((now) => nextChangeAt(ending('manual'), now, 0))).toEqual([500, 500, null]);
  expect(nextChangeAt(ending('sandbox'), 0, 0)).toBeNull();
});
