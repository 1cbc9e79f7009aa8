import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Stripe } from 'stripe';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeClock, fakeClock } from '../fake-clock.ts';
import { nextPeriodEnd, periodEnd } from './calendar.ts';
import { parseForm } from './form.ts';
import { signStripeWebhook } from './sign-webhook.ts';
import type { StripeStandIn } from './stand-in-interface.ts';
import { stripeStandIn } from './stripe-stand-in.ts';

const DAY_MS = 86_400_000;

let clock: FakeClock;
let standIn: StripeStandIn;
beforeEach(async () => {
  clock = fakeClock();
  standIn = await stripeStandIn({ clock });
});
afterEach(async () => {
  await standIn.close();
});

/** A bare request to the API, as any client would make it. */
async function api(
  method: string,
  path: string,
  fields: Readonly<Record<string, string>> = {},
  headers: Readonly<Record<string, string>> = {},
) {
  const form = new URLSearchParams(fields);
  const query = method === 'POST' ? '' : `?${form}`;
  const response = await fetch(`${standIn.origin}${path}${query}`, {
    method,
    headers: { authorization: `Bearer ${standIn.secretKey}`, ...headers },
    ...(method === 'POST' ? { body: form } : {}),
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  return { status: response.status, headers: response.headers, body: (await response.json()) as any };
}

async function subscribed(fields: Readonly<Record<string, string>> = {}) {
  const price = standIn.addPrice({ amount: 1_000 });
  const { body: customer } = await api('POST', '/v1/customers');
  const { body: session } = await api('POST', '/v1/checkout/sessions', {
    mode: 'subscription',
    customer: customer.id,
    'line_items[0][price]': price,
    'line_items[0][quantity]': '1',
    success_url: 'https://app.example.com/?s={CHECKOUT_SESSION_ID}',
    ...fields,
  });
  return { price, customer: String(customer.id), session: String(session.id), id: standIn.pay(session.id) };
}

const typesSince = (count: number) =>
  standIn
    .events()
    .slice(count)
    .map(({ type }) => type);
const subscription = async (id: string) => (await api('GET', `/v1/subscriptions/${id}`)).body;

describe('the API', () => {
  it('takes its own key only', async () => {
    const refused = await api('GET', '/v1/prices', {}, { authorization: 'Bearer sk_test_other' });
    expect({ status: refused.status, type: refused.body.error.type }).toEqual({
      status: 401,
      type: 'invalid_request_error',
    });
  });

  it.each([
    ['POST', '/v1/customers', { colour: 'red' }, 400, 'parameter_unknown', 'colour'],
    ['POST', '/v1/customers', { 'metadata[a][b]': '1' }, 400, undefined, 'metadata[a]'],
    ['POST', '/v1/checkout/sessions', {}, 400, 'parameter_missing', 'mode'],
    ['POST', '/v1/checkout/sessions', { mode: 'payment' }, 400, undefined, 'mode'],
    ['POST', '/v1/subscriptions', { customer: 'cus_none' }, 400, 'resource_missing', 'customer'],
    ['GET', '/v1/subscriptions/sub_none', {}, 404, 'resource_missing', 'id'],
    ['GET', '/v1/prices', { limit: '1000' }, 400, undefined, 'limit'],
    ['GET', '/v1/prices', { limit: 'ten' }, 400, 'parameter_invalid_integer', 'limit'],
    ['POST', '/v1/balance', {}, 404, undefined, undefined],
  ])('%s %s with %j is refused in Stripe’s shape: %d', async (method, path, fields, status, code, param) => {
    const answer = await api(method, path, fields as Record<string, string>);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({
      error: {
        type: 'invalid_request_error',
        message: expect.any(String),
        ...(code === undefined ? {} : { code }),
        ...(param === undefined ? {} : { param }),
      },
    });
  });

  it('refuses what excludes each other, as Stripe does', async () => {
    const { id, price } = await subscribed();
    const both = await api('POST', `/v1/subscriptions/${id}`, {
      cancel_at: '1999999999',
      cancel_at_period_end: 'true',
    });
    expect(both.status).toBe(400);
    const { body: schedule } = await api('POST', '/v1/subscription_schedules', { from_subscription: id });
    const managed = await api('POST', `/v1/subscriptions/${id}`, { cancel_at_period_end: 'true' });
    expect(managed.body.error.message).toContain(schedule.id);
    const { body: customer } = await api('POST', '/v1/customers');
    const codes = await api('POST', '/v1/checkout/sessions', {
      mode: 'subscription',
      customer: customer.id,
      'line_items[0][price]': price,
      'line_items[0][quantity]': '1',
      success_url: 'https://app.example.com',
      allow_promotion_codes: 'true',
      'discounts[0][coupon]': 'co_1',
    });
    expect(codes.status).toBe(400);
  });

  it('answers a key again as it did before, refuses it with other parameters, and forgets it after a day', async () => {
    const key = { 'idempotency-key': 'k1' };
    const first = await api('POST', '/v1/customers', { name: 'A' }, key);
    const again = await api('POST', '/v1/customers', { name: 'A' }, key);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const other = await api('POST', '/v1/customers', { name: 'B' }, key);
    expect({ status: other.status, type: other.body.error.type }).toEqual({
      status: 400,
      type: 'idempotency_error',
    });
    clock.advance(DAY_MS);
    expect((await api('POST', '/v1/customers', { name: 'A' }, key)).body.id).not.toBe(first.body.id);
    expect(standIn.contents().customers).toHaveLength(2);
  });

  it('shows periods where the version has them, and what is asked to be expanded', async () => {
    const { id } = await subscribed();
    const old = (await api('GET', `/v1/subscriptions/${id}`, {}, { 'stripe-version': '2024-06-20' })).body;
    const now = await subscription(id);
    expect(old.current_period_end).toBe(now.items.data[0].current_period_end);
    expect(old.items.data[0]).not.toHaveProperty('current_period_end');
    expect(now).not.toHaveProperty('current_period_end');
    const { body: schedule } = await api('POST', '/v1/subscription_schedules', { from_subscription: id });
    expect((await subscription(id)).schedule).toBe(schedule.id);
    const whole = await api('GET', `/v1/subscriptions/${id}`, { 'expand[0]': 'schedule' });
    expect(whole.body.schedule).toMatchObject({ id: schedule.id, phases: [expect.anything()] });
  });

  it('lists in pages, newest first', async () => {
    for (let count = 0; count < 25; count += 1) await api('POST', '/v1/customers');
    const ids: string[] = [];
    for (let after = ''; ; ) {
      const { body } = await api('GET', '/v1/customers', {
        limit: '10',
        ...(after === '' ? {} : { starting_after: after }),
      });
      ids.push(...body.data.map((customer: { id: string }) => customer.id));
      if (!body.has_more) break;
      after = ids.at(-1) ?? '';
    }
    expect(ids).toEqual(
      standIn
        .contents()
        .customers.map(({ id }) => id)
        .reverse(),
    );
  });

  it('fails as it is told to, for the calls it is told to', async () => {
    standIn.failNext(
      { status: 429, retryAfterSeconds: 3 },
      { times: 2, when: ({ path }) => path === '/v1/prices' },
    );
    expect((await api('GET', '/v1/customers')).status).toBe(200);
    const limited = await api('GET', '/v1/prices');
    expect({ status: limited.status, wait: limited.headers.get('retry-after') }).toEqual({
      status: 429,
      wait: '3',
    });
    expect([(await api('GET', '/v1/prices')).status, (await api('GET', '/v1/prices')).status]).toEqual([
      429, 200,
    ]);
    standIn.failNext({ status: 500, isRemembered: true });
    const key = { 'idempotency-key': 'k2' };
    expect((await api('POST', '/v1/customers', {}, key)).status).toBe(500);
    expect((await api('POST', '/v1/customers', {}, key)).status).toBe(500);
    expect(standIn.contents().customers).toEqual([]);
  });

  it('does the work and says nothing when the reply is to be lost', async () => {
    standIn.failNext({ lostReply: true });
    const key = { 'idempotency-key': 'k3' };
    const lost = fetch(`${standIn.origin}/v1/customers`, {
      method: 'POST',
      headers: { authorization: `Bearer ${standIn.secretKey}`, ...key },
      body: new URLSearchParams(),
      signal: AbortSignal.timeout(100),
    });
    await expect(lost).rejects.toMatchObject({ name: 'TimeoutError' });
    expect((await api('POST', '/v1/customers', {}, key)).body.id).toBe(standIn.contents().customers[0]?.id);
    expect(standIn.contents().customers).toHaveLength(1);
  });
});

describe('time', () => {
  it.each([
    ['2026-01-31', ['2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31']],
    ['2028-01-31', ['2028-02-29', '2028-03-31', '2028-04-30', '2028-05-31']],
    ['2026-11-30', ['2026-12-30', '2027-01-30', '2027-02-28', '2027-03-30']],
  ])('turns months from %s on to %j', (start, ends) => {
    const anchor = Date.parse(`${start}T15:04:05Z`) / 1_000;
    const month = { interval: 'month', interval_count: 1, usage_type: 'licensed' } as const;
    expect(
      [1, 2, 3, 4].map((count) => new Date(periodEnd(anchor, count, month) * 1_000).toISOString()),
    ).toEqual(ends.map((end) => `${end}T15:04:05.000Z`));
    const second = Date.parse(`${ends[1]}T15:04:05Z`) / 1_000;
    expect(nextPeriodEnd(anchor, second, month)).toBe(Date.parse(`${ends[2]}T15:04:05Z`) / 1_000);
  });

  it('renews what is paid, month after month, each at its own instant', async () => {
    const { id } = await subscribed();
    standIn.advance(95 * DAY_MS);
    const paid = standIn.contents().invoices.filter(({ subscription: of }) => of === id);
    expect(paid.map(({ billing_reason, status }) => `${billing_reason} ${status}`)).toEqual([
      'subscription_create paid',
      'subscription_cycle paid',
      'subscription_cycle paid',
      'subscription_cycle paid',
    ]);
    expect(paid.map(({ created }) => new Date(created * 1_000).toISOString().slice(0, 10))).toEqual([
      '2026-04-09',
      '2026-05-09',
      '2026-06-09',
      '2026-07-09',
    ]);
  });

  it('follows a failed card through its retries to the end, and a new card back to active', async () => {
    const { id, customer } = await subscribed();
    standIn.setCard(customer, 'declined');
    const before = standIn.events().length;
    standIn.advance(31 * DAY_MS);
    expect(typesSince(before)).toEqual([
      'invoice.created',
      'invoice.finalized',
      'invoice.payment_failed',
      'customer.subscription.updated',
    ]);
    expect((await subscription(id)).status).toBe('past_due');
    standIn.advance(3 * DAY_MS);
    standIn.setCard(customer, 'works');
    expect((await subscription(id)).status).toBe('active');
    standIn.setCard(customer, 'declined');
    standIn.advance(60 * DAY_MS);
    expect(await subscription(id)).toMatchObject({ status: 'canceled', ended_at: expect.any(Number) });
    expect(
      typesSince(before).filter((type) => type === 'invoice.payment_failed').length,
    ).toBeGreaterThanOrEqual(5);
    expect(typesSince(before).at(-1)).toBe('customer.subscription.deleted');
  });

  it('lets an unpaid subscription be unpaid when the dunning ends so', async () => {
    await standIn.close();
    standIn = await stripeStandIn({ clock, dunning: { retryDays: [1], lastly: 'unpaid' } });
    const { id, customer } = await subscribed();
    standIn.setCard(customer, 'declined');
    standIn.advance(40 * DAY_MS);
    expect((await subscription(id)).status).toBe('unpaid');
  });

  it('ends trials: paid with a card; without one as the trial was set up; and warns three days before', async () => {
    const trial = (end: string) => ({
      'subscription_data[trial_period_days]': '14',
      'subscription_data[trial_settings][end_behavior][missing_payment_method]': end,
      payment_method_collection: 'if_required',
    });
    const withCard = await subscribed(trial('cancel'));
    const canceled = await subscribed(trial('cancel'));
    const paused = await subscribed(trial('pause'));
    for (const { customer } of [canceled, paused]) standIn.setCard(customer, 'none');
    expect((await subscription(withCard.id)).status).toBe('trialing');
    const before = standIn.events().length;
    standIn.advance(11 * DAY_MS);
    expect(typesSince(before)).toEqual(Array(3).fill('customer.subscription.trial_will_end'));
    standIn.advance(3 * DAY_MS);
    expect((await subscription(withCard.id)).status).toBe('active');
    expect((await subscription(canceled.id)).status).toBe('canceled');
    expect((await subscription(paused.id)).status).toBe('paused');
    const resumed = await api('POST', `/v1/subscriptions/${paused.id}/resume`);
    expect(resumed.status).toBe(402);
    standIn.setCard(paused.customer, 'works');
    expect((await api('POST', `/v1/subscriptions/${paused.id}/resume`)).body.status).toBe('active');
  });

  it('expires pages after a day, unfinished first payments after 23 hours, and says when the next thing is due', async () => {
    const price = standIn.addPrice({ amount: 1_000 });
    const { body: customer } = await api('POST', '/v1/customers');
    const { body: unfinished } = await api('POST', '/v1/subscriptions', {
      customer: customer.id,
      'items[0][price]': price,
    });
    expect(unfinished.status).toBe('incomplete');
    expect(standIn.nextDueAt()).toBe(clock.now() + 23 * 3_600_000);
    standIn.advance(23 * 3_600_000);
    expect((await subscription(unfinished.id)).status).toBe('incomplete_expired');
    const { body: session } = await api('POST', '/v1/checkout/sessions', {
      mode: 'subscription',
      customer: customer.id,
      'line_items[0][price]': price,
      'line_items[0][quantity]': '1',
      success_url: 'https://app.example.com',
    });
    standIn.advance(DAY_MS);
    expect((await api('GET', `/v1/checkout/sessions/${session.id}`)).body).toMatchObject({
      status: 'expired',
      url: null,
    });
    expect(() => standIn.pay(session.id)).toThrow('expired');
    expect(standIn.nextDueAt()).toBeNull();
  });

  it('goes by the clock it is given', async () => {
    const { id } = await subscribed();
    clock.advance(31 * DAY_MS);
    expect((await subscription(id)).items.data[0].current_period_end).toBe(Date.UTC(2026, 5, 9, 12) / 1_000);
  });
});

describe('pages', () => {
  const press = (path: string, fields: Readonly<Record<string, string>>) =>
    fetch(`${standIn.origin}${path}`, {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams(fields),
    });

  it('let a customer subscribe, be declined, go back, and never subscribe twice', async () => {
    const price = standIn.addPrice({ amount: 1_000, name: '<b>Pro</b>' });
    const { body: customer } = await api('POST', '/v1/customers');
    const { body: session } = await api('POST', '/v1/checkout/sessions', {
      mode: 'subscription',
      customer: customer.id,
      'line_items[0][price]': price,
      'line_items[0][quantity]': '1',
      success_url: 'https://app.example.com/?s={CHECKOUT_SESSION_ID}',
      cancel_url: 'https://app.example.com/back',
    });
    const { pathname } = new URL(session.url);
    const page = await (await fetch(session.url)).text();
    expect(page).toContain('&#60;b&#62;Pro');
    expect((await press(pathname, { action: 'cancel' })).headers.get('location')).toBe(
      'https://app.example.com/back',
    );
    expect((await press(pathname, { action: 'decline' })).status).toBe(402);
    const done = await press(pathname, { action: 'confirm' });
    expect(done.headers.get('location')).toBe(`https://app.example.com/?s=${session.id}`);
    expect((await press(pathname, { action: 'confirm' })).status).toBe(410);
    expect(standIn.contents().subscriptions).toMatchObject([{ status: 'active', customer: customer.id }]);
  });

  it('let a customer change, cancel, keep and mend a subscription in the portal, for an hour', async () => {
    const { id, customer } = await subscribed();
    const other = standIn.addPrice({ amount: 3_000 });
    const { body: portal } = await api('POST', '/v1/billing_portal/sessions', {
      customer,
      return_url: 'https://app.example.com',
    });
    const { pathname } = new URL(portal.url);
    expect(await (await fetch(portal.url)).text()).toContain(id);
    await press(pathname, { action: 'change', subscription: id, price: other });
    await press(pathname, { action: 'cancel', subscription: id });
    expect(await subscription(id)).toMatchObject({
      cancel_at_period_end: true,
      items: { data: [{ price: { id: other } }] },
    });
    await press(pathname, { action: 'resume', subscription: id });
    expect(await subscription(id)).toMatchObject({ cancel_at_period_end: false, cancel_at: null });
    standIn.setCard(customer, 'declined');
    standIn.advance(31 * DAY_MS);
    expect((await press(pathname, { action: 'card', subscription: id })).status).toBe(404);
    const { body: again } = await api('POST', '/v1/billing_portal/sessions', { customer });
    await press(new URL(again.url).pathname, { action: 'card', subscription: id });
    expect((await subscription(id)).status).toBe('active');
  });
});

describe('webhooks', () => {
  let app: Server;
  let got: { readonly id: string; readonly signature: string }[] = [];
  let answer = 200;

  beforeEach(async () => {
    got = [];
    answer = 200;
    app = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        got.push({ id: JSON.parse(body).id, signature: String(request.headers['stripe-signature']) });
        response.writeHead(answer, { 'x-webhook-outcome': 'applied' }).end();
      });
    });
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    await standIn.close();
    const { port } = app.address() as AddressInfo;
    standIn = await stripeStandIn({ clock, webhookUrl: `http://127.0.0.1:${port}/`, retryDelaysMs: [1, 1] });
  });
  afterEach(() => new Promise<void>((resolve) => void app.close(() => resolve())));

  const ids = () => standIn.events().map(({ id }) => id);

  it('are posted in the order things happened, signed', async () => {
    await subscribed();
    await standIn.settled();
    expect(got.map(({ id }) => id)).toEqual(ids());
    expect(got[0]?.signature).toMatch(new RegExp(`^t=${clock.now() / 1_000},v1=[0-9a-f]{64}$`));
    expect(standIn.answers().every(({ status, outcome }) => status === 200 && outcome === 'applied')).toBe(
      true,
    );
    standIn.webhookSecrets = ['whsec_one', 'whsec_two'];
    expect(standIn.signed(ids()[0] ?? '').headers['stripe-signature']?.match(/v1=/g)).toHaveLength(2);
  });

  it('are signed as Stripe’s own test helper signs', () => {
    const payload = JSON.stringify({ id: 'evt_1', text: 'é ✓' });
    const timestamp = clock.now() / 1_000;
    const theirs = Stripe.webhooks.generateTestHeaderString({ payload, secret: 'whsec_1', timestamp });
    expect(signStripeWebhook(['whsec_1'], new TextEncoder().encode(payload), clock.now())).toBe(theirs);
  });

  it('are doubled, dropped, held, and delivered in any order, as told', async () => {
    standIn.setDelivery(({ type }) =>
      type.startsWith('invoice') ? 'drop' : type.startsWith('checkout') ? 'twice' : 'hold',
    );
    await subscribed();
    await standIn.settled();
    expect(got).toHaveLength(2);
    const held = standIn.held().map(({ id }) => id);
    const order = [...held].reverse();
    const answers = await standIn.deliver([...order, order[0] ?? '']);
    expect(answers.map(({ eventId }) => eventId)).toEqual([...order, order[0]]);
    expect(got.slice(2).map(({ id }) => id)).toEqual([...order, order[0]]);
    expect(standIn.held()).toEqual([]);
  });

  it('are posted again while the app does not take them, but not for ever', async () => {
    answer = 500;
    await api('POST', '/v1/customers');
    await standIn.settled();
    expect(got).toHaveLength(3);
    answer = 200;
    await api('POST', '/v1/customers');
    await standIn.settled();
    expect(got).toHaveLength(4);
  });

  it('have a thin form, which can be fetched', async () => {
    const { id } = await subscribed();
    const event = standIn.events().find(({ type }) => type === 'customer.subscription.created');
    const thin = JSON.parse(new TextDecoder().decode(standIn.signedThin(event?.id ?? '').bytes));
    expect(thin).toMatchObject({
      object: 'v2.core.event',
      type: 'v1.customer.subscription.created',
      snapshot_event: event?.id,
      related_object: { id, type: 'subscription' },
    });
    expect((await api('GET', `/v2/core/events/${thin.id}`)).body).toEqual(thin);
  });
});

describe('form encoding', () => {
  it.each([
    ['a=1&b=2', { a: '1', b: '2' }],
    ['a[b]=1&a[c][d]=2', { a: { b: '1', c: { d: '2' } } }],
    ['a[0][x]=1&a[1][x]=2', { a: [{ x: '1' }, { x: '2' }] }],
    ['a[]=1&a[]=2', { a: ['1', '2'] }],
    ['a=', { a: '' }],
    ['a%5Bb%5D=%C3%A9+x', { a: { b: 'é x' } }],
  ])('%s', (text, parts) => {
    expect(JSON.parse(JSON.stringify(parseForm(text)))).toEqual(parts);
  });

  it('reaches no prototype', () => {
    const parts = parseForm('__proto__[polluted]=1&constructor[prototype][polluted]=1');
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
    expect(Object.keys(parts)).toContain('constructor');
  });
});
