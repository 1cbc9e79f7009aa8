import { expect, it } from 'vitest';
import type { StoredSubscription } from '../ports/billing-repository.ts';
import type { ProviderSubscription } from '../ports/payment-provider.ts';
import { nextSubscription } from './next-subscription.ts';

const HOUR_MS = 3_600_000;
const BEGIN = Date.UTC(2026, 3, 9, 12);

const created: ProviderSubscription = {
  id: 'sub_1',
  customerId: 'cus_1',
  tier: 'pro',
  status: 'incomplete',
  quantity: 1,
  interval: 'month',
  createdAt: BEGIN,
  currentPeriodEndsAt: BEGIN + 720 * HOUR_MS,
  trialEndsAt: null,
  cancelsAt: null,
  scheduledTier: null,
  scheduledAt: null,
  endedAt: null,
};

/** What the provider had after each of eight happenings, each of which it told in an event. */
const ENDING: readonly Partial<ProviderSubscription>[] = [
  {},
  { status: 'active' },
  { tier: 'team', quantity: 5 },
  { status: 'past_due' },
  { status: 'active', currentPeriodEndsAt: BEGIN + 1_440 * HOUR_MS },
  { cancelsAt: BEGIN + 1_440 * HOUR_MS },
  { status: 'past_due' },
  { status: 'canceled', cancelsAt: null, endedAt: BEGIN + 900 * HOUR_MS },
];
const UNPAID: readonly Partial<ProviderSubscription>[] = [
  ...ENDING.slice(0, 5),
  { tier: 'pro' },
  { status: 'past_due' },
  { status: 'unpaid' },
];

function statesOf(changes: readonly Partial<ProviderSubscription>[]): readonly ProviderSubscription[] {
  let state = created;
  return changes.map((change) => {
    state = { ...state, ...change };
    return state;
  });
}

/** Which events come twice: none, one of them, or all. A second time the state is fetched and stored anew, as if nothing were remembered. */
type Twice = number | 'none' | 'all';

/** The states in which a history can end, over all orders of its events; and how many orders there were. */
function endsOf(states: readonly ProviderSubscription[], twice: Twice) {
  const ends: StoredSubscription[] = [];
  let orders = 0;

  /** The provider is asked, and has then what it had after the latest happening that can be behind it by now. */
  function deliver(stored: StoredSubscription | null, latest: number): StoredSubscription {
    const fetched = states[latest] ?? created;
    // The version is a store's own affair, so it is left out here.
    return nextSubscription({
      stored,
      fetched,
      provider: 'stripe',
      org: 'acme',
      now: BEGIN,
    }) as StoredSubscription;
  }

  function walk(left: readonly number[], before: StoredSubscription | null, latestBefore: number): void {
    for (const event of left) {
      const latest = Math.max(latestBefore, event);
      let stored = deliver(before, latest);
      if (twice === 'all' || twice === event) stored = deliver(stored, latest);
      if (left.length > 1) {
        walk(
          left.filter((other) => other !== event),
          stored,
          latest,
        );
        continue;
      }
      orders += 1;
      if (typeof twice === 'number') stored = deliver(stored, latest);
      if (!ends.some((end) => isSame(end, stored))) ends.push(stored);
    }
  }

  walk([...states.keys()], null, 0);
  return { ends, orders };
}

function isSame(a: StoredSubscription, b: StoredSubscription): boolean {
  return FIELDS.every((field) => a[field] === b[field]);
}

const FIELDS = Object.keys(
  nextSubscription({ stored: null, fetched: created, provider: 'stripe', org: 'acme', now: BEGIN }),
) as (keyof StoredSubscription)[];

it.each([
  ['ended', ENDING, { status: 'canceled', tier: 'team', pastDueAt: null, endedAt: BEGIN + 900 * HOUR_MS }],
  ['was never paid again', UNPAID, { status: 'unpaid', tier: 'pro', pastDueAt: BEGIN, endedAt: null }],
] as const)(
  'W3, W4: a history of eight events of a subscription that %s ends in one state in all 40,320 orders, with no event, each one or all come twice',
  (_, changes, end) => {
    const states = statesOf(changes);
    expect(states).toHaveLength(8);
    for (const twice of ['none', 0, 1, 2, 3, 4, 5, 6, 7, 'all'] as const) {
      expect({ twice, ...endsOf(states, twice) }).toEqual({
        twice,
        orders: 40_320,
        ends: [expect.objectContaining(end)],
      });
    }
  },
  60_000,
);
