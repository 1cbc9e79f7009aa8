import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoredSubscription } from '../ports/billing-repository.ts';
import type { ProviderSubscription } from '../ports/payment-provider.ts';
import { hasEnded, nextSubscription } from './next-subscription.ts';

const fetched: ProviderSubscription = {
  id: 'sub_1',
  customerId: 'cus_1',
  tier: 'pro',
  status: 'active',
  quantity: 1,
  interval: 'month',
  createdAt: 10,
  currentPeriodEndsAt: 1_000,
  trialEndsAt: null,
  cancelsAt: null,
  scheduledTier: null,
  scheduledAt: null,
  endedAt: null,
};
const next = (
  stored: StoredSubscription | null,
  now: number,
  change: Partial<ProviderSubscription> = {},
): StoredSubscription => ({
  ...nextSubscription({ stored, fetched: { ...fetched, ...change }, provider: 'sandbox', org: 'acme', now }),
  version: (stored?.version ?? 0) + 1,
});

describe('the next state of a subscription', () => {
  it('is the provider’s, under the org of the stored customer', () => {
    expect(next(null, 50)).toEqual({
      ...fetched,
      provider: 'sandbox',
      org: 'acme',
      pastDueAt: null,
      version: 1,
    });
  });

  it('keeps the first moment payment failed however often it is told', () => {
    const first = next(next(null, 50), 60, { status: 'past_due' });
    expect(first.pastDueAt).toBe(60);
    expect(next(first, 70, { status: 'past_due' }).pastDueAt).toBe(60);
    expect(next(next(first, 70, { status: 'unpaid' }), 80, { status: 'past_due' }).pastDueAt).toBe(60);
  });

  it('starts a new spell after payment came', () => {
    const paid = next(next(null, 50, { status: 'past_due' }), 60);
    expect(paid.pastDueAt).toBeNull();
    expect(next(paid, 70, { status: 'past_due' }).pastDueAt).toBe(70);
  });

  it('says when it ended even if the provider does not', () => {
    expect(next(null, 50, { status: 'canceled' }).endedAt).toBe(50);
    expect(next(null, 50, { status: 'incomplete_expired' }).endedAt).toBe(50);
    expect(next(null, 50, { status: 'incomplete_expired', endedAt: 40 }).endedAt).toBe(40);
  });

  it('keeps an unknown status as it came, and does not take it for an end', () => {
    const odd = next(null, 50, { status: 'on_hold' });
    expect(odd.status).toBe('on_hold');
    expect(hasEnded(odd)).toBe(false);
  });

  const state = fc.record({
    status: fc.constantFrom(
      'active',
      'past_due',
      'unpaid',
      'paused',
      'trialing',
      'canceled',
      'incomplete_expired',
      'odd',
    ),
    tier: fc.constantFrom('pro', 'business', null),
    cancelsAt: fc.option(fc.nat(1_000)),
    endedAt: fc.constantFrom(null, null, null, null, 7),
  });

  it('W4: never changes again once it ended, whatever is fetched in whatever order', () => {
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 12 }), (states) => {
        let stored: StoredSubscription | null = null;
        let end: StoredSubscription | null = null;
        let now = 0;
        for (const change of states) {
          now += 1;
          stored = next(stored, now, change);
          // Said in words of its own: by those of the code, one that does not count as an end could go on for ever.
          const ends = change.endedAt !== null || ['canceled', 'incomplete_expired'].includes(change.status);
          end ??= ends ? stored : null;
          expect(hasEnded(stored)).toBe(end !== null);
          if (end !== null) expect({ ...stored, version: 0 }).toEqual({ ...end, version: 0 });
        }
      }),
    );
  });

  it('has a past-due moment exactly while payment fails, never later than it was', () => {
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 12 }), (states) => {
        let stored: StoredSubscription | null = null;
        let now = 0;
        for (const change of states) {
          now += 1;
          const before: StoredSubscription | null = stored;
          stored = next(before, now, change);
          if (before !== null && hasEnded(before)) continue;
          expect(stored.pastDueAt !== null).toBe(['past_due', 'unpaid'].includes(stored.status));
          if (before?.pastDueAt != null && stored.pastDueAt !== null)
            expect(stored.pastDueAt).toBe(before.pastDueAt);
        }
      }),
    );
  });

  it('is the same when the same state is fetched again', () => {
    fc.assert(
      fc.property(state, fc.nat(), (change, wait) => {
        const once = next(null, 10, change);
        expect({ ...next(once, 10 + wait, change), version: 0 }).toEqual({ ...once, version: 0 });
      }),
    );
  });
});
