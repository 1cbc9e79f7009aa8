import { describe, expect, it } from 'vitest';
import { createPriceTable } from './price-table.ts';
import { subjectOf } from './to-provider-event.ts';
import { toProviderSubscription } from './to-provider-subscription.ts';

const prices = createPriceTable(
  {
    pro: { month: 'price_pro', year: 'price_pro_year' },
    team: 'price_team',
    enterprise: { legacy: ['price_custom'] },
  },
  'month',
  [],
);

type Json = Readonly<Record<string, unknown>>;

/** One subscription, told in the words of the API of a time. */
interface Facts {
  readonly price: string;
  readonly every: 'month' | 'year';
  readonly status: string;
  readonly quantity: number;
  readonly cancelAtPeriodEnd?: boolean;
  readonly cancelAt?: number | null;
  readonly endedAt?: number | null;
  readonly trialEnd?: number | null;
}

const CREATED = 1_775_000_000;
const PERIOD_END = 1_777_592_000;

function common(facts: Facts): Json {
  return {
    id: 'sub_1',
    object: 'subscription',
    created: CREATED,
    customer: 'cus_1',
    status: facts.status,
    cancel_at_period_end: facts.cancelAtPeriodEnd ?? false,
    cancel_at: facts.cancelAt ?? null,
    canceled_at: null,
    ended_at: facts.endedAt ?? null,
    trial_end: facts.trialEnd ?? null,
    livemode: false,
  };
}

const plan = ({ price, every }: Facts): Json => ({
  id: price,
  object: 'plan',
  interval: every,
  interval_count: 1,
  amount: 1_000,
});
const price = ({ price: id, every }: Facts): Json => ({
  id,
  object: 'price',
  recurring: { interval: every, interval_count: 1, usage_type: 'licensed' },
  unit_amount: 1_000,
});
const list = (...data: readonly Json[]): Json => ({ object: 'list', data, has_more: false });
const period = { current_period_start: CREATED, current_period_end: PERIOD_END };
const item = (parts: Json, facts: Facts): Json => ({
  id: 'si_1',
  object: 'subscription_item',
  quantity: facts.quantity,
  ...parts,
});

/** How the API of a version shows a subscription. */
const SHAPES: Readonly<Record<string, (facts: Facts) => Json>> = {
  '2020-03-02': (facts) => ({
    ...common(facts),
    ...period,
    plan: plan(facts),
    quantity: facts.quantity,
    tax_percent: null,
    items: list(item({ plan: plan(facts) }, facts)),
  }),
  '2020-03-02, of one plan and no items': (facts) => ({
    ...common(facts),
    ...period,
    plan: plan(facts),
    quantity: facts.quantity,
  }),
  '2020-08-27': (facts) => ({
    ...common(facts),
    ...period,
    plan: plan(facts),
    quantity: facts.quantity,
    items: list(item({ plan: plan(facts), price: price(facts) }, facts)),
  }),
  '2024-06-20': (facts) => ({
    ...common(facts),
    ...period,
    items: list(item({ plan: plan(facts), price: price(facts), discounts: [] }, facts)),
    discounts: [],
  }),
  '2025-03-31.basil': (facts) => ({
    ...common(facts),
    items: list(item({ ...period, plan: plan(facts), price: price(facts) }, facts)),
  }),
  '2025-09-30.clover': (facts) => ({
    ...common(facts),
    billing_mode: { type: 'flexible' },
    items: list(item({ ...period, plan: plan(facts), price: price(facts) }, facts)),
  }),
  '2026-10-28.endive': (facts) => ({
    ...common(facts),
    billing_mode: { type: 'flexible' },
    billing_schedules: [],
    customer: { id: 'cus_1', object: 'customer' },
    items: list(item({ ...period, current_trial: null, price: price(facts), subscription: 'sub_1' }, facts)),
  }),
};

const FACTS: Readonly<Record<string, Facts>> = {
  active: { price: 'price_pro', every: 'month', status: 'active', quantity: 1 },
  'on trial': {
    price: 'price_pro_year',
    every: 'year',
    status: 'trialing',
    quantity: 3,
    trialEnd: PERIOD_END,
  },
  'past due': { price: 'price_team', every: 'month', status: 'past_due', quantity: 7 },
  'to end': {
    price: 'price_pro',
    every: 'month',
    status: 'active',
    quantity: 1,
    cancelAtPeriodEnd: true,
    cancelAt: PERIOD_END,
  },
  ended: { price: 'price_pro', every: 'month', status: 'canceled', quantity: 1, endedAt: PERIOD_END },
  'of an unknown price': { price: 'price_else', every: 'month', status: 'active', quantity: 1 },
  'of a status of the future': { price: 'price_pro', every: 'month', status: 'sleeping', quantity: 1 },
};

describe('W8: the shape of any API version', () => {
  const newest = '2026-10-28.endive';

  it.each(Object.keys(FACTS))('gives the same state of a subscription that is %s', (name) => {
    const facts = FACTS[name] as Facts;
    const expected = toProviderSubscription(SHAPES[newest]?.(facts), prices);
    expect(expected).toMatchObject({
      id: 'sub_1',
      customerId: 'cus_1',
      status: facts.status,
      quantity: facts.quantity,
    });
    expect(expected.currentPeriodEndsAt).toBe(PERIOD_END * 1_000);
    for (const [version, shape] of Object.entries(SHAPES)) {
      expect({ version, state: toProviderSubscription(shape(facts), prices) }).toEqual({
        version,
        state: expected,
      });
      expect({ version, subject: subjectOf(shape(facts), prices) }).toEqual({
        version,
        subject: {
          customerId: 'cus_1',
          subscriptionId: 'sub_1',
          status: facts.status,
          tier: expected.tier,
          checkoutSessionId: null,
        },
      });
    }
  });

  it('finds the subscription of an invoice, wherever it stands', () => {
    const invoice = { id: 'in_1', object: 'invoice', customer: 'cus_1' };
    const shapes: readonly Json[] = [
      { ...invoice, subscription: 'sub_1', paid: true },
      { ...invoice, subscription: { id: 'sub_1', object: 'subscription' } },
      {
        ...invoice,
        parent: { type: 'subscription_details', subscription_details: { subscription: 'sub_1' } },
      },
      {
        ...invoice,
        parent: { type: 'subscription_details', subscription_details: { subscription: { id: 'sub_1' } } },
      },
    ];
    for (const shape of shapes)
      expect(subjectOf(shape, prices)).toMatchObject({ customerId: 'cus_1', subscriptionId: 'sub_1' });
    const single = { ...invoice, parent: { type: 'quote_details', subscription_details: null } };
    expect(subjectOf(single, prices)).toMatchObject({ customerId: 'cus_1', subscriptionId: null });
  });

  it('reads the end from cancel_at_period_end where an old version says no more', () => {
    const facts: Facts = {
      price: 'price_pro',
      every: 'month',
      status: 'active',
      quantity: 1,
      cancelAtPeriodEnd: true,
    };
    for (const shape of Object.values(SHAPES))
      expect(toProviderSubscription(shape(facts), prices).cancelsAt).toBe(PERIOD_END * 1_000);
  });
});

it('a tier with legacy prices only is granted and not sold', () => {
  expect(prices.tierOf('price_custom')).toBe('enterprise');
  expect(prices.priceOf('enterprise', undefined, 'month')).toBeNull();
  expect(['pro', 'enterprise'].filter(prices.sells)).toEqual(['pro']);
});

it('a change that names no interval keeps the one that is paid, where the tier is sold by it', () => {
  expect(prices.priceOf('pro', undefined, 'year')).toBe('price_pro_year');
  expect(prices.priceOf('team', undefined, 'year')).toBe('price_team');
});

it.each([
  ['month', 1, 'month'],
  ['year', 1, 'year'],
  ['month', 3, null],
  ['year', 2, null],
  ['week', 1, null],
])('a price that renews every %s x %i is of the interval %s', (interval, interval_count, expected) => {
  const every = { id: 'price_team', recurring: { interval, interval_count } };
  const facts: Facts = { price: 'price_team', every: 'month', status: 'active', quantity: 1 };
  const shown = { ...common(facts), ...period, items: list(item({ price: every }, facts)) };
  expect(toProviderSubscription(shown, prices)).toMatchObject({ tier: 'team', interval: expected });
});

describe('a paused subscription', () => {
  const facts: Facts = { price: 'price_pro', every: 'month', status: 'paused', quantity: 1 };
  const isLapsed = (given: Facts, more: Json = {}) =>
    Object.values(SHAPES).map(
      (shape) => toProviderSubscription({ ...shape(given), ...more }, prices).isLapsedTrial,
    );
  const because = (type: string): Json => ({
    status_details: { paused: { type: 'subscription', subscription: { type } } },
  });
  const all = (value: boolean) => Object.values(SHAPES).map(() => value);

  it('is a lapsed trial when Stripe says so, and no other pause is', () => {
    const trial = { ...facts, trialEnd: PERIOD_END };
    expect(isLapsed(facts, because('trial_end_without_payment_method'))).toEqual(all(true));
    for (const reason of [
      'pause_requested',
      'first_payment_failure',
      'final_payment_failure',
      'system',
      'else',
    ])
      expect(isLapsed(trial, because(reason))).toEqual(all(false));
  });

  it('is one by its dates where Stripe does not say why it is paused', () => {
    expect(isLapsed({ ...facts, trialEnd: PERIOD_END })).toEqual(all(true));
    expect(isLapsed({ ...facts, trialEnd: PERIOD_END - 86_400 })).toEqual(all(false));
    expect(isLapsed(facts)).toEqual(all(false));
    expect(isLapsed({ ...facts, status: 'trialing', trialEnd: PERIOD_END })).toEqual(all(false));
  });
});

describe('a subscription of several items', () => {
  const facts: Facts = { price: 'price_pro', every: 'month', status: 'active', quantity: 4 };
  const addOn: Facts = { price: 'price_support', every: 'month', status: 'active', quantity: 99 };

  it('is of the tier of the item whose price is known, whichever comes first', () => {
    for (const items of [
      [addOn, facts],
      [facts, addOn],
    ]) {
      const subscription = {
        ...common(facts),
        items: list(...items.map((one) => item({ ...period, price: price(one) }, one))),
      };
      expect(toProviderSubscription(subscription, prices)).toMatchObject({ tier: 'pro', quantity: 4 });
    }
  });

  it('is of no tier when no price is known', () => {
    const subscription = { ...common(addOn), items: list(item({ ...period, price: price(addOn) }, addOn)) };
    expect(toProviderSubscription(subscription, prices).tier).toBeNull();
  });
});

describe('a schedule', () => {
  const facts: Facts = { price: 'price_team', every: 'month', status: 'active', quantity: 1 };
  const phases = [
    { start_date: CREATED, end_date: PERIOD_END, items: [{ price: 'price_team' }] },
    { start_date: PERIOD_END, end_date: PERIOD_END + 9, items: [{ price: { id: 'price_pro' } }] },
  ];
  const schedule = {
    current_phase: { start_date: CREATED, end_date: PERIOD_END },
    phases,
    end_behavior: 'release',
  };
  const read = (schedule: unknown) =>
    toProviderSubscription({ ...SHAPES['2026-10-28.endive']?.(facts), schedule }, prices);

  it('says which tier comes next, and when', () => {
    expect(read(schedule)).toMatchObject({
      tier: 'team',
      scheduledTier: 'pro',
      scheduledAt: PERIOD_END * 1_000,
      cancelsAt: null,
    });
  });

  it('that let go of its subscription still names it', () => {
    const released = { object: 'subscription_schedule', customer: 'cus_1', released_subscription: 'sub_1' };
    expect(subjectOf(released, prices)).toMatchObject({ customerId: 'cus_1', subscriptionId: 'sub_1' });
  });

  it('that ends the subscription says when', () => {
    const last = { ...schedule, phases: phases.slice(0, 1), end_behavior: 'cancel' };
    expect(read(last)).toMatchObject({ scheduledTier: null, cancelsAt: PERIOD_END * 1_000 });
  });

  it.each([
    ['its id', 'sub_sched_1'],
    ['nothing', null],
    ['one that is over', { ...schedule, current_phase: null }],
  ])('is none when all there is of it is %s', (_, given) => {
    expect(read(given)).toMatchObject({ scheduledTier: null, scheduledAt: null });
  });
});

it.each([[null], [[]], ['sub_1'], [{}], [{ id: 'sub_1', customer: 'cus_1', created: 1 }]])(
  'refuses %j as a subscription',
  (value) => {
    expect(() => toProviderSubscription(value, prices)).toThrow(
      expect.objectContaining({ code: 'provider_error' }),
    );
  },
);
