import { expect, it } from 'vitest';
import { nextLookAt } from './next-look.ts';

const billing = (expiries: readonly (number | null)[], pastDue: readonly (number | null)[]) =>
  ({
    overrides: expiries.map((expiresAt) => ({ expiresAt })),
    subscriptions: pastDue.map((pastDueAt) => ({ pastDueAt })),
  }) as unknown as Parameters<typeof nextLookAt>[0];

it('is the first instant from now on at which limits change by themselves: an expiry, or the end of a grace', () => {
  const at = (now: number) => nextLookAt(billing([500, null, 900], [null, 600]), now, 100);
  expect([0, 499, 500, 699, 700, 899, 900].map(at)).toEqual([500, 500, 700, 700, 900, 900, null]);
  expect(nextLookAt(billing([null], [null]), 0, 100)).toBeNull();
});
