import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { TollgateError } from '@tollgate/core';
import { Stripe } from 'stripe';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { StripeOptions } from './stripe-options.ts';
import { DAY_MS, type StripeRig, stripeRig } from './stripe-rig.test-support.ts';

const rigs: StripeRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

async function rigged(options: Partial<StripeOptions> = {}): Promise<StripeRig> {
  const rig = await stripeRig(options);
  rigs.push(rig);
  return rig;
}

/** Stripe's own client, for what a person does at Stripe's desk. */
function desk({ standIn }: StripeRig): Stripe {
  const { hostname: host, port } = new URL(standIn.origin);
  return new Stripe(standIn.secretKey, {
    host,
    port: Number(port),
    protocol: 'http',
    maxNetworkRetries: 0,
    telemetry: false,
  });
}

async function fetched({ provider }: StripeRig, subscriptionId: string) {
  const found = await provider.fetchSubscription({ subscriptionId });
  if (found === null) throw new Error('Unknown.');
  return found;
}

const order = (rig: StripeRig, customerId: string, tier = 'pro') => ({
  org: 'acme',
  customerId,
  tier,
  idempotencyKey: rig.key(),
});

describe('every request', () => {
  it('names the pinned API version, and the account it acts for', async () => {
    const rig = await rigged({ account: 'acct_1' });
    await rig.customer();
    expect(rig.standIn.requests()).toMatchObject([
      { stripeVersion: '2026-10-28.endive', stripeAccount: 'acct_1' },
    ]);
  });

  it('that changes something carries an idempotency key', async () => {
    const rig = await rigged();
    const subscriptionId = await rig.subscribe(await rig.customer());
    await rig.provider.changeSubscription({ subscriptionId, tier: 'team', idempotencyKey: rig.key() });
    await rig.provider.cancelSubscription({ subscriptionId, idempotencyKey: rig.key() });
    const changes = rig.standIn.requests().filter(({ method }) => method === 'POST');
    expect(changes.length).toBeGreaterThan(3);
    expect(changes.filter(({ idempotencyKey }) => !idempotencyKey?.startsWith('rig-'))).toEqual([]);
  });
});

describe('two apps on one Stripe account', () => {
  it('T13: make a customer each for their orgs of the same id', async () => {
    const rig = await rigged();
    const other = rig.another({ successUrl: 'https://other.example.com/billing' });
    const request = { org: '1', idempotencyKey: 'tollgate-customer-of-1' };
    const { customerId } = await rig.provider.createCustomer(request);
    expect((await other.createCustomer(request)).customerId).not.toBe(customerId);
    expect(await rig.another().createCustomer(request)).toEqual({ customerId });
  });
});

describe('a checkout page', () => {
  it('sells the monthly price by default, the yearly one when asked, and none of a tier without a price', async () => {
    const rig = await rigged();
    const customerId = await rig.customer();
    const price = () => rig.lastRequest(/checkout/).get('line_items[0][price]');
    await rig.provider.openCheckout(order(rig, customerId));
    expect(price()).toBe(rig.prices.pro);
    const { id } = await rig.provider.openCheckout({
      ...order(rig, customerId),
      interval: 'year',
      quantity: 4,
    });
    expect(price()).toBe(rig.prices.proYear);
    expect(await rig.provider.fetchCheckout({ sessionId: id })).toMatchObject({
      interval: 'year',
      quantity: 4,
    });
    expect(await fetched(rig, rig.standIn.pay(id))).toMatchObject({
      tier: 'pro',
      interval: 'year',
      quantity: 4,
    });
    for (const impossible of [{ tier: 'team', interval: 'year' as const }, { tier: 'enterprise' }]) {
      const attempt = rig.provider.openCheckout({ ...order(rig, customerId), ...impossible });
      await expect(attempt).rejects.toMatchObject({ code: 'unknown_tier' });
    }
  });

  it('gives a trial once for each org', async () => {
    const rig = await rigged({ trialDays: { pro: 14 } });
    const customerId = await rig.customer();
    const first = await rig.subscribe(customerId);
    expect(await fetched(rig, first)).toMatchObject({
      status: 'trialing',
      trialEndsAt: rig.clock.now() + 14 * DAY_MS,
    });
    rig.standIn.setStatus(first, 'canceled');
    expect(await fetched(rig, await rig.subscribe(customerId))).toMatchObject({
      status: 'active',
      trialEndsAt: null,
    });
    expect(await fetched(rig, await rig.subscribe(await rig.customer('globex'), 'team'))).toMatchObject({
      trialEndsAt: null,
    });
    expect(await fetched(rig, await rig.subscribe(await rig.customer('initech')))).toMatchObject({
      status: 'trialing',
    });
  });

  it('gives no trial to an org that had one with another customer', async () => {
    const rig = await rigged({ trialDays: 14 });
    const opened = { ...order(rig, await rig.customer()), hadTrial: true };
    const { id } = await rig.provider.openCheckout(opened);
    expect(await fetched(rig, rig.standIn.pay(id))).toMatchObject({ status: 'active', trialEndsAt: null });
  });

  it('asks for no card on a trial when told so, and such a trial ends as told', async () => {
    const rig = await rigged({ trialDays: 7, trialNeedsCard: false, trialEndsWithoutCard: 'pause' });
    const customerId = await rig.customer();
    const subscriptionId = await rig.subscribe(customerId);
    const sent = rig.lastRequest(/POST .*sessions$/);
    expect(sent.get('payment_method_collection')).toBe('if_required');
    rig.standIn.setCard(customerId, 'none');
    rig.standIn.advance(8 * DAY_MS);
    expect(await fetched(rig, subscriptionId)).toMatchObject({ status: 'paused', endedAt: null });
  });

  it.each([1, 200, 201, 256])('can be opened for an org whose id has %d characters', async (length) => {
    const rig = await rigged();
    const org = 'ö'.repeat(length);
    const { id } = await rig.provider.openCheckout({ ...order(rig, await rig.customer(org)), org });
    const [session] = rig.standIn.contents().sessions;
    expect(session).toMatchObject({ id, client_reference_id: length > 200 ? null : org });
    expect(session?.metadata).toEqual({ tollgate_org: org });
  });

  it('takes a discount for the order, or lets the customer enter a code, never both', async () => {
    const rig = await rigged();
    const coupon = await desk(rig).coupons.create({ percent_off: 50, duration: 'forever' });
    const promotion = await desk(rig).promotionCodes.create({
      promotion: { type: 'coupon', coupon: coupon.id },
    });
    const customerId = await rig.customer();
    const provider = rig.another({
      promotionCodes: true,
      discount: ({ tier }) =>
        tier === 'team' ? { coupon: coupon.id } : tier === 'pro' ? { promotionCode: promotion.id } : null,
    });
    for (const tier of ['team', 'pro']) {
      const { id } = await provider.openCheckout(order(rig, customerId, tier));
      rig.standIn.pay(id);
      expect(rig.standIn.contents().invoices.at(-1)?.amount_due).toBe(tier === 'team' ? 2_500 : 500);
      expect(rig.lastRequest(/POST .*sessions$/).has('allow_promotion_codes')).toBe(false);
    }
    await rig.another({ promotionCodes: true }).openCheckout(order(rig, customerId));
    expect(rig.lastRequest(/POST .*sessions$/).get('allow_promotion_codes')).toBe('true');
  });

  it('lets seats be chosen within bounds, and tax be worked out, when told so', async () => {
    const rig = await rigged({ adjustableQuantity: { minimum: 2, maximum: 50 }, automaticTax: true });
    await rig.provider.openCheckout(order(rig, await rig.customer()));
    const sent = Object.fromEntries(rig.lastRequest(/POST .*sessions$/));
    expect(sent).toMatchObject({
      'line_items[0][quantity]': '2',
      'line_items[0][adjustable_quantity][maximum]': '50',
      'automatic_tax[enabled]': 'true',
      'customer_update[address]': 'auto',
    });
  });
});

describe('a customer', () => {
  it('T13: is made with the org’s name for people to read', async () => {
    const rig = await rigged({
      describeCustomer: (org) => ({ name: `The ${org} company`, email: `${org}@example.com` }),
    });
    await rig.customer();
    expect(rig.standIn.contents().customers).toMatchObject([
      { name: 'The acme company', email: 'acme@example.com', metadata: { tollgate_org: 'acme' } },
    ]);
  });

  it('T13: has the metadata of the host’s, and our org’s whatever that says', async () => {
    const metadata = { crm: '42', tollgate_org: 'globex' };
    const rig = await rigged({ describeCustomer: () => ({ name: 'Acme', metadata }) });
    await rig.customer();
    expect(rig.standIn.contents().customers).toMatchObject([
      { name: 'Acme', metadata: { crm: '42', tollgate_org: 'acme' } },
    ]);
    expect(rig.standIn.contents().customers[0]?.metadata).toEqual({ crm: '42', tollgate_org: 'acme' });
  });

  const numbered = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, 'value']));

  it.each<[string, Readonly<Record<string, string>>]>([
    ['49 keys beside our own', numbered(49)],
    ['50 keys with our own', { ...numbered(49), tollgate_org: 'globex' }],
    ['a name of 40 characters', { ['ö'.repeat(40)]: 'value' }],
    ['a value of 500 characters', { key: '例'.repeat(499).concat('\n') }],
    ['none', {}],
  ])('may have metadata up to Stripe’s limits: %s', async (_, metadata) => {
    const rig = await rigged({ describeCustomer: () => ({ metadata }) });
    await rig.customer();
    expect(rig.standIn.contents().customers[0]?.metadata).toEqual({ ...metadata, tollgate_org: 'acme' });
  });

  it.each<[string, unknown]>([
    ['50 keys beside our own', numbered(50)],
    ['a name of 41 characters', { ['k'.repeat(41)]: 'value' }],
    ['an empty name', { '': 'value' }],
    ['a name with brackets', { 'a[b]': 'value' }],
    ['a value of 501 characters', { key: 'v'.repeat(501) }],
    ['a number', { key: 42 }],
    ['undefined', { key: undefined }],
    ['a nested object', { key: { a: 'b' } }],
    ['a list', ['value']],
    ['a text', 'value'],
    ['null', null],
  ])('is not made with metadata that Stripe would refuse: %s', async (_, metadata) => {
    const rig = await rigged({
      describeCustomer: () => ({ metadata }) as { metadata: Record<string, string> },
    });
    await expect(rig.customer()).rejects.toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringContaining('describeCustomer'),
    });
    expect(rig.standIn.requests()).toEqual([]);
  });

  it('is made again with other details when these changed between two tries', async () => {
    let email = 'old@example.com';
    const rig = await rigged({ describeCustomer: () => ({ email }) });
    const request = { org: 'acme', idempotencyKey: 'always the same' };
    await rig.provider.createCustomer(request);
    email = 'new@example.com';
    await rig.provider.createCustomer(request);
    expect(rig.standIn.contents().customers.map((customer) => customer.email)).toEqual([
      'old@example.com',
      'new@example.com',
    ]);
  });

  it('is made with a name in any script, and again when only the end of long details changed', async () => {
    let email = 'old@example.com';
    const name = '有限会社例'.repeat(50);
    const rig = await rigged({ describeCustomer: () => ({ name, email }) });
    const request = { org: 'acme', idempotencyKey: 'always the same' };
    await rig.provider.createCustomer(request);
    email = 'new@example.com';
    await rig.provider.createCustomer(request);
    await rig.provider.createCustomer(request);
    expect(rig.standIn.contents().customers).toMatchObject([
      { name, email: 'old@example.com' },
      { name, email },
    ]);
  });

  it('can be made although Stripe keeps answering a failure of its own for the key', async () => {
    const rig = await rigged();
    const request = { org: 'acme', idempotencyKey: 'always the same' };
    rig.standIn.failNext({ status: 500, isRemembered: true });
    await expect(rig.provider.createCustomer(request)).rejects.toMatchObject({ code: 'provider_error' });
    expect(await rig.provider.createCustomer(request)).toEqual({
      customerId: rig.standIn.contents().customers[0]?.id,
    });
    expect(await rig.provider.createCustomer(request)).toEqual({
      customerId: rig.standIn.contents().customers[0]?.id,
    });
  });
});

describe('a function of the host’s', () => {
  const never = () => new Promise<never>(() => {});

  it('that never answers keeps nobody waiting for ever', async () => {
    const rig = await rigged();
    const customerId = await rig.customer();
    const slow = rig.another({ describeCustomer: never, discount: never });
    const late = { code: 'provider_timeout' };
    await expect(slow.createCustomer({ org: 'globex', idempotencyKey: rig.key() })).rejects.toMatchObject(
      late,
    );
    await expect(slow.openCheckout(order(rig, customerId))).rejects.toMatchObject(late);
  });

  it('that fails is not taken for Stripe', async () => {
    const cause = new Error('The host’s own.');
    const fails = () => Promise.reject(cause);
    const rig = await rigged({ describeCustomer: fails, discount: fails });
    await expect(rig.customer()).rejects.toBe(cause);
    await expect(rig.provider.openCheckout(order(rig, 'cus_1'))).rejects.toBe(cause);
  });
});

describe('a change', () => {
  it('keeps interval and seats unless told otherwise', async () => {
    const rig = await rigged();
    const { id } = await rig.provider.openCheckout({ ...order(rig, await rig.customer()), quantity: 7 });
    const subscriptionId = rig.standIn.pay(id);
    const change = (terms: object) =>
      rig.provider.changeSubscription({ subscriptionId, tier: 'pro', idempotencyKey: rig.key(), ...terms });
    expect(await change({ tier: 'team' })).toMatchObject({ tier: 'team', interval: 'month', quantity: 7 });
    expect(await change({ interval: 'year' })).toMatchObject({ tier: 'pro', interval: 'year', quantity: 7 });
    expect(await change({ quantity: 3 })).toMatchObject({ tier: 'pro', interval: 'year', quantity: 3 });
    expect(await change({ interval: 'month' })).toMatchObject({ interval: 'month', quantity: 3 });
  });

  it('leaves an old price of the same tier as it is', async () => {
    const rig = await rigged();
    const customerId = await rig.customer();
    rig.standIn.setCard(customerId, 'works');
    const { id } = await desk(rig).subscriptions.create({
      customer: customerId,
      items: [{ price: rig.prices.proOld }],
    });
    await rig.provider.cancelSubscription({ subscriptionId: id, idempotencyKey: rig.key() });
    await rig.provider.changeSubscription({ subscriptionId: id, tier: 'pro', idempotencyKey: rig.key() });
    const [subscription] = rig.standIn.contents().subscriptions;
    expect(subscription).toMatchObject({ cancel_at: null, items: [{ price: { id: rig.prices.proOld } }] });
  });

  it.each([
    ['create_prorations', 1, 0],
    ['always_invoice', 2, 2_000],
    ['none', 1, 0],
  ] as const)('costs in mid-period what the option says: %s', async (proration, invoices, due) => {
    const rig = await rigged({ proration });
    const subscriptionId = await rig.subscribe(await rig.customer());
    rig.standIn.advance(15 * DAY_MS);
    await rig.provider.changeSubscription({ subscriptionId, tier: 'team', idempotencyKey: rig.key() });
    const billed = rig.standIn.contents().invoices;
    expect(billed).toHaveLength(invoices);
    expect(invoices === 2 ? billed[1]?.amount_due : 0).toBe(due);
  });

  it('undoes an end at the period’s end, one at a date of its own, and a scheduled change', async () => {
    const rig = await rigged();
    const subscriptionId = await rig.subscribe(await rig.customer(), 'team');
    const stay = () =>
      rig.provider.changeSubscription({ subscriptionId, tier: 'team', idempotencyKey: rig.key() });
    const settled = { tier: 'team', cancelsAt: null, scheduledTier: null, scheduledAt: null, endedAt: null };

    await rig.provider.cancelSubscription({ subscriptionId, idempotencyKey: rig.key() });
    expect(await stay()).toMatchObject(settled);

    const at = Math.floor(rig.clock.now() / 1_000) + 5 * 86_400;
    await desk(rig).subscriptions.update(subscriptionId, { cancel_at: at });
    expect(await fetched(rig, subscriptionId)).toMatchObject({ cancelsAt: at * 1_000 });
    expect(await stay()).toMatchObject(settled);

    const periodEnd = (await fetched(rig, subscriptionId)).currentPeriodEndsAt ?? 0;
    await scheduleDowngrade(rig, subscriptionId);
    expect(await fetched(rig, subscriptionId)).toMatchObject({
      tier: 'team',
      scheduledTier: 'pro',
      scheduledAt: periodEnd,
    });
    expect(await stay()).toMatchObject(settled);
    rig.standIn.advance(62 * DAY_MS);
    expect(await fetched(rig, subscriptionId)).toMatchObject({ ...settled, status: 'active' });
  });

  it('that was scheduled happens at the period’s end', async () => {
    const rig = await rigged();
    const subscriptionId = await rig.subscribe(await rig.customer(), 'team');
    await scheduleDowngrade(rig, subscriptionId);
    rig.standIn.advance(32 * DAY_MS);
    expect(await fetched(rig, subscriptionId)).toMatchObject({
      tier: 'pro',
      scheduledTier: null,
      status: 'active',
    });
  });

  it('ends a scheduled subscription at its period’s end, letting go of the schedule', async () => {
    const rig = await rigged();
    const subscriptionId = await rig.subscribe(await rig.customer(), 'team');
    await scheduleDowngrade(rig, subscriptionId);
    const ending = await rig.provider.cancelSubscription({ subscriptionId, idempotencyKey: rig.key() });
    expect(ending).toMatchObject({
      tier: 'team',
      scheduledTier: null,
      cancelsAt: ending.currentPeriodEndsAt,
    });
    rig.standIn.advance(32 * DAY_MS);
    expect(await fetched(rig, subscriptionId)).toMatchObject({ status: 'canceled' });
  });

  it('ends one with an end at a later date of its own at its period’s end', async () => {
    const rig = await rigged();
    const subscriptionId = await rig.subscribe(await rig.customer(), 'team');
    const at = Math.floor(rig.clock.now() / 1_000) + 200 * 86_400;
    await desk(rig).subscriptions.update(subscriptionId, { cancel_at: at });
    const ending = await rig.provider.cancelSubscription({ subscriptionId, idempotencyKey: rig.key() });
    expect(ending).toMatchObject({ status: 'active', cancelsAt: ending.currentPeriodEndsAt });
    rig.standIn.advance(32 * DAY_MS);
    expect(await fetched(rig, subscriptionId)).toMatchObject({ status: 'canceled' });
  });

  it('that is repeated with its key answers what is so now, not what was so then', async () => {
    const rig = await rigged();
    const subscriptionId = await rig.subscribe(await rig.customer());
    const change = { subscriptionId, tier: 'team', idempotencyKey: rig.key() };
    await rig.provider.changeSubscription(change);
    rig.standIn.setStatus(subscriptionId, 'past_due');
    expect(await rig.provider.changeSubscription(change)).toMatchObject({ tier: 'team', status: 'past_due' });
    const cancel = { subscriptionId, idempotencyKey: rig.key() };
    await rig.provider.cancelSubscription(cancel);
    await rig.provider.changeSubscription({ ...change, idempotencyKey: rig.key() });
    expect(await rig.provider.cancelSubscription(cancel)).toMatchObject({ cancelsAt: null });
  });

  it('ends an unfinished subscription at once, whatever the option says', async () => {
    const rig = await rigged();
    const customer = await rig.customer();
    const { id } = await desk(rig).subscriptions.create({ customer, items: [{ price: rig.prices.pro }] });
    expect(await fetched(rig, id)).toMatchObject({ status: 'incomplete' });
    const ended = await rig.provider.cancelSubscription({ subscriptionId: id, idempotencyKey: rig.key() });
    expect(ended).toMatchObject({ status: 'incomplete_expired', endedAt: expect.any(Number) });
  });

  it('ends or changes nothing that ended by its status alone, whatever else Stripe says of it', async () => {
    const status = 'incomplete_expired';
    const ended = {
      id: 'sub_1',
      object: 'subscription',
      customer: 'cus_1',
      created: 1,
      status,
      ended_at: null,
    };
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(request.method);
      response.setHeader('content-type', 'application/json').end(JSON.stringify(ended));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const { provider } = await rigged({ apiBase: `http://127.0.0.1:${port}` });
    const one = { subscriptionId: 'sub_1', idempotencyKey: 'k' };
    expect(await provider.cancelSubscription(one)).toMatchObject({ status });
    await expect(provider.changeSubscription({ ...one, tier: 'team' })).rejects.toMatchObject({
      code: 'provider_error',
    });
    expect(asked).toEqual(['GET', 'GET']);
  });

  async function scheduleDowngrade(rig: StripeRig, subscriptionId: string): Promise<void> {
    const stripe = desk(rig);
    const schedule = await stripe.subscriptionSchedules.create({ from_subscription: subscriptionId });
    const [phase] = schedule.phases;
    if (phase === undefined) throw new Error('A schedule without a phase.');
    await stripe.subscriptionSchedules.update(schedule.id, {
      phases: [
        {
          items: [{ price: rig.prices.team, quantity: 1 }],
          start_date: phase.start_date,
          end_date: phase.end_date,
        },
        { items: [{ price: rig.prices.pro, quantity: 1 }] },
      ],
    });
  }
});

describe('a subscription of a price nobody mapped', () => {
  it('W9: is of no tier, and can be moved to one', async () => {
    const rig = await rigged();
    const customer = await rig.customer();
    rig.standIn.setCard(customer, 'works');
    const strange = rig.standIn.addPrice({ amount: 1 });
    const { id } = await desk(rig).subscriptions.create({ customer, items: [{ price: strange }] });
    expect(await fetched(rig, id)).toMatchObject({ tier: null, status: 'active' });
    expect(
      await rig.provider.changeSubscription({ subscriptionId: id, tier: 'pro', idempotencyKey: rig.key() }),
    ).toMatchObject({ tier: 'pro' });
  });
});

describe('T29: a failure', () => {
  it.each([
    [{ status: 429, retryAfterSeconds: 7 }, 'provider_busy', 503, 7],
    [{ status: 429 }, 'provider_busy', 503, 1],
    [{ status: 429, retryAfterSeconds: 9_999_999 }, 'provider_busy', 503, 1],
    [{ status: 409 }, 'provider_busy', 503, 1],
    [{ status: 400 }, 'provider_error', 502, undefined],
    [{ status: 401 }, 'provider_error', 502, undefined],
    [{ status: 402 }, 'provider_error', 502, undefined],
    [{ status: 403 }, 'provider_error', 502, undefined],
    [{ status: 404 }, 'provider_error', 502, undefined],
    [{ status: 500 }, 'provider_error', 502, undefined],
    [{ status: 503 }, 'provider_error', 502, undefined],
    [{ garbage: true }, 'provider_error', 502, undefined],
    [{ timeout: true }, 'provider_timeout', 504, undefined],
  ] as const)(
    'of Stripe’s (%j) is %s, status %d, retry after %s, and T30: says nothing Stripe said',
    async (fault, code, status, retry) => {
      const rig = await rigged();
      rig.standIn.failAll(fault);
      const error = await rig.provider
        .fetchSubscription({ subscriptionId: 'sub_1' })
        .catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(TollgateError);
      expect(error).toMatchObject({ code, status });
      expect((error as TollgateError).retryAfterSeconds).toBe(retry);
      const all = inspect(error, { depth: 20, showHidden: true });
      for (const secret of ['asked for', 'sk_test', rig.standIn.secretKey, 'Oops', 'authorization'])
        expect(all).not.toContain(secret);
    },
  );

  it('of the network is provider_error, and a call that Stripe never finishes ends by itself', async () => {
    const rig = await rigged();
    const nowhere = rig.another({ apiBase: 'http://127.0.0.1:9' });
    await expect(nowhere.fetchSubscription({ subscriptionId: 'sub_1' })).rejects.toMatchObject({
      code: 'provider_error',
    });
  });

  it('is mended by the client’s own retry when it was of a moment', async () => {
    const rig = await rigged();
    const patient = rig.another({ maxNetworkRetries: 1 });
    rig.standIn.failNext({ status: 500 });
    expect(await patient.createCustomer({ org: 'acme', idempotencyKey: 'k' })).toMatchObject({
      customerId: expect.any(String),
    });
    expect(rig.standIn.contents().customers).toHaveLength(1);
  });
});

describe('T10, T32: a thin event', () => {
  async function thinRig() {
    const rig = await rigged();
    const customerId = await rig.customer();
    const subscriptionId = await rig.subscribe(customerId);
    const eventOf = (type: string) => rig.standIn.events().find((event) => event.type === type)?.id ?? '';
    const read = ({ bytes, headers }: { bytes: Uint8Array; headers: Readonly<Record<string, string>> }) =>
      rig.provider.readWebhook({ bytes, header: (name) => headers[name], now: rig.clock.now() });
    return { rig, customerId, subscriptionId, eventOf, read };
  }

  it.each([
    ['customer.subscription.created', 'subscription_created'],
    ['invoice.paid', 'invoice_paid'],
  ])('of %s is fetched and read as the snapshot event would be', async (type, kind) => {
    const { rig, customerId, subscriptionId, eventOf, read } = await thinRig();
    const [thin] = await read(rig.standIn.signedThin(eventOf(type)));
    expect(thin).toMatchObject({
      kind,
      customerId,
      subscriptionId,
      livemode: false,
      createdAt: rig.clock.now(),
    });
    const [snapshot] = await read(rig.standIn.signed(eventOf(type)));
    expect(thin?.id).toBe(snapshot?.id);
  });

  it('of a checkout page names the page', async () => {
    const { rig, customerId, subscriptionId, eventOf, read } = await thinRig();
    const [thin] = await read(rig.standIn.signedThin(eventOf('checkout.session.completed')));
    expect(thin).toMatchObject({
      checkoutSessionId: rig.standIn.contents().sessions[0]?.id,
      customerId,
      subscriptionId,
    });
  });

  const notification = (related: object) => ({
    id: 'evt_thin',
    object: 'v2.core.event',
    type: 'v1.customer.subscription.updated',
    created: '2026-04-09T12:00:00.000Z',
    livemode: false,
    related_object: related,
  });
  const signed = (rig: StripeRig, value: unknown) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    return { bytes, headers: rig.standIn.sign(bytes) };
  };

  it('never leads to the address in it', async () => {
    const { rig, subscriptionId, read } = await thinRig();
    const visits: string[] = [];
    const trap = createServer((request, response) => {
      visits.push(request.url ?? '');
      response.end('{}');
    });
    await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = trap.address() as AddressInfo;
      const related = {
        id: subscriptionId,
        type: 'subscription',
        url: `http://127.0.0.1:${port}/v1/subscriptions/sub_other`,
      };
      expect(await read(signed(rig, notification(related)))).toMatchObject([{ subscriptionId }]);
      const paths = rig.standIn.requests().map(({ path }) => path);
      expect(paths.at(-1)).toBe(`/v1/subscriptions/${subscriptionId}`);
      expect(visits).toEqual([]);
    } finally {
      trap.close();
    }
  });

  it.each([
    ['with a path for an id', { id: '../customers/cus_1?x=', type: 'subscription' }],
    ['about something unknown', { id: 'sub_none', type: 'subscription' }],
    ['about another kind of thing', { id: 'acct_1', type: 'v2.core.account' }],
    ['about nothing', null],
    ['about a prototype', { id: 'x', type: '__proto__' }],
  ])('%s is about nothing here', async (_, related) => {
    const { rig, read } = await thinRig();
    const before = rig.standIn.requests().length;
    const events = await read(signed(rig, notification(related as object)));
    expect(events).toMatchObject([{ kind: 'other', subscriptionId: null, customerId: null }]);
    const asked = rig.standIn.requests().slice(before);
    expect(asked.every(({ path }) => /^\/v1\/subscriptions\/[^/]+$/.test(path))).toBe(true);
  });

  it('of the other mode or of another account is nothing, and asks nobody', async () => {
    const { rig, subscriptionId, read } = await thinRig();
    const before = rig.standIn.requests().length;
    const related = { id: subscriptionId, type: 'subscription' };
    expect(await read(signed(rig, { ...notification(related), livemode: true }))).toEqual([]);
    expect(await read(signed(rig, { ...notification(related), context: 'acct_1' }))).toEqual([]);
    expect(rig.standIn.requests()).toHaveLength(before);
  });

  it('F28: fails as Stripe fails, so that it is delivered again', async () => {
    const { rig, eventOf, read } = await thinRig();
    const thin = rig.standIn.signedThin(eventOf('customer.subscription.created'));
    rig.standIn.failNext({ status: 429 });
    await expect(read(thin)).rejects.toMatchObject({ code: 'provider_busy' });
    expect(await read(thin)).toHaveLength(1);
  });

  it.each([[{ created: 'yesterday' }], [{ id: '' }], [{ livemode: 'no' }], [{ type: 5 }]])(
    'with %j is no event',
    async (parts) => {
      const { rig, read } = await thinRig();
      const attempt = read(signed(rig, { ...notification({ id: 'sub_1', type: 'subscription' }), ...parts }));
      await expect(attempt).rejects.toMatchObject({ code: 'invalid_event' });
    },
  );
});

describe('the history', () => {
  it('has the events of the account that it acts for, which is asked for its own and does not name itself', async () => {
    const rig = await rigged({ account: 'acct_1' });
    await rig.subscribe(await rig.customer());
    const listed = await rig.provider.history.listEvents({ since: 0 });
    expect(listed.map(({ type }) => type)).toContain('customer.subscription.created');
    expect(rig.standIn.requests().at(-1)).toMatchObject({ path: '/v1/events', stripeAccount: 'acct_1' });
  });

  it('lists what Stripe told since an instant, oldest first, of our mode and types only', async () => {
    const rig = await rigged();
    await rig.subscribe(await rig.customer());
    rig.standIn.advance(DAY_MS);
    const since = rig.standIn.now();
    const [subscription] = rig.standIn.contents().subscriptions;
    rig.standIn.setStatus(subscription?.id ?? '', 'past_due');
    rig.standIn.setStatus(subscription?.id ?? '', 'canceled');
    const types = async (at: number) =>
      (await rig.provider.history.listEvents({ since: at })).map(({ type }) => type);
    expect(await types(since)).toEqual([
      'invoice.payment_failed',
      'customer.subscription.updated',
      'customer.subscription.deleted',
    ]);
    expect((await types(0)).slice(0, 2)).toEqual(['customer.subscription.created', 'invoice.paid']);
    expect(await rig.another({ livemode: true }).history.listEvents({ since: 0 })).toEqual([]);
  });

  it('leaves none out of a great many, and gives each page the time of a request', async () => {
    const rig = await rigged();
    const id = await rig.subscribe(await rig.customer());
    for (let turn = 0; turn < 10_000; turn += 1)
      rig.standIn.setStatus(id, turn % 2 === 0 ? 'unpaid' : 'active');
    const listed = await rig.provider.history.listEvents({ since: 0 });
    expect(listed.filter(({ kind }) => kind === 'subscription_created')).toHaveLength(1);
    expect(listed.length).toBeGreaterThan(10_000);
  });

  it('walks over more than a page', async () => {
    const rig = await rigged();
    const id = await rig.subscribe(await rig.customer());
    for (let turn = 0; turn < 130; turn += 1) rig.standIn.setStatus(id, turn % 2 === 0 ? 'unpaid' : 'active');
    const listed = await rig.provider.history.listEvents({ since: 0 });
    expect(listed.filter(({ kind }) => kind === 'subscription_updated')).toHaveLength(131);
    expect(new Set(listed.map((event) => event.id)).size).toBe(listed.length);
  });
});
