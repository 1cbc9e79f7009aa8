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
