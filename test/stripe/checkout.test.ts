import { type StripeStandIn, stripeStandIn } from '@tollgate/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { caller, type StripeHost, stripeHost } from './stripe-hosts.ts';
import { type SharedStore, STORES } from './stripe-stores.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function rigged(
  name: string,
): Promise<{ standIn: StripeStandIn; hosts: readonly StripeHost[]; store: SharedStore }> {
  const hosts: StripeHost[] = [];
  const standIn = await stripeStandIn({ webhookUrl: () => hosts[0]?.webhookUrl ?? null });
  open.push(() => standIn.close());
  const make = STORES[name];
  if (make === undefined) throw new Error(`There is no ${name}.`);
  const store = await make();
  open.push(() => store.drop());
  const prices = { pro: standIn.addPrice({ amount: 1_900 }), business: standIn.addPrice({ amount: 9_900 }) };
  for (let process = 0; process < 2; process += 1) {
    const host = await stripeHost({ standIn, prices, repository: await store.handle() });
    open.push(() => host.close());
    hosts.push(host);
  }
  return { standIn, hosts, store };
}

describe.each(Object.keys(STORES))('T27: checkouts at once, in two processes on %s', (name) => {
  it('for one tier open one page, for one customer, and come to one subscription', async () => {
    const { standIn, hosts } = await rigged(name);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        caller(hosts[index % 2]?.api ?? '')('POST', '/orgs/acme/billing/checkout', { tier_slug: 'pro' }),
      ),
    );
    for (const { status, body } of answers) {
      if (status !== 200)
        expect({ status, code: body.error_code }).toEqual({ status: 409, code: 'checkout_in_progress' });
    }
    const pages = new Set(
      answers.filter(({ status }) => status === 200).map(({ headers }) => headers.get('location')),
    );
    expect(pages.size).toBe(1);
    const { customers, sessions } = standIn.contents();
    expect(customers).toHaveLength(1);
    expect(sessions.filter(({ status }) => status === 'open')).toHaveLength(1);
    standIn.pay(sessions.find(({ status }) => status === 'open')?.id ?? '');
    await standIn.settled();
    const again = await Promise.all(
      hosts.map(({ api }) => caller(api)('POST', '/orgs/acme/billing/checkout', { tier_slug: 'business' })),
    );
    expect(again.map(({ status }) => status).filter((status) => status !== 200 && status !== 409)).toEqual(
      [],
    );
    await standIn.settled();
    expect(standIn.contents().subscriptions).toHaveLength(1);
    expect(await hosts[0]?.billing.plan('acme')).toMatchObject({ tier: 'business' });
  });

  it('for two tiers leave one page open', async () => {
    const { standIn, hosts } = await rigged(name);
    await Promise.all(
      ['pro', 'business', 'pro', 'business'].map((tier, index) =>
        caller(hosts[index % 2]?.api ?? '')('POST', '/orgs/acme/billing/checkout', { tier_slug: tier }),
      ),
    );
    expect(standIn.contents().sessions.filter(({ status }) => status === 'open').length).toBeLessThanOrEqual(
      1,
    );
  });

  it('on both the page and the button: paid while another tier is asked for, there is one subscription', async () => {
    const { standIn, hosts } = await rigged(name);
    const call = caller(hosts[0]?.api ?? '');
    const { body } = await call('POST', '/orgs/acme/billing/checkout', { tier_slug: 'pro' });
    const other = caller(hosts[1]?.api ?? '')('POST', '/orgs/acme/billing/checkout', {
      tier_slug: 'business',
    });
    try {
      standIn.pay(body.external_id);
    } catch {
      // The page was ended first: then nobody can pay there.
    }
    await other;
    await standIn.settled();
    const { subscriptions, sessions } = standIn.contents();
    const open = sessions.filter(({ status }) => status === 'open').length;
    expect(subscriptions.length + open).toBe(1);
  });
});

describe('T11, T13: an event about a customer that nobody linked', () => {
  /** A customer with a subscription that somebody made at Stripe by hand. */
  async function madeByHand(standIn: StripeStandIn): Promise<string> {
    const { Stripe } = await import('stripe');
    const { hostname: host, port } = new URL(standIn.origin);
    const desk = new Stripe(standIn.secretKey, {
      host,
      port: Number(port),
      protocol: 'http',
      telemetry: false,
    });
    const customer = await desk.customers.create({
      email: 'acme@example.com',
      metadata: { tollgate_org: 'acme' },
    });
    standIn.setCard(customer.id, 'works');
    const [price] = standIn.contents().prices;
    await desk.subscriptions.create({
      customer: customer.id,
      items: [{ price: price?.id ?? '' }],
      metadata: { tollgate_org: 'acme' },
    });
    await standIn.settled();
    return customer.id;
  }

  it('changes nothing, whatever org its metadata names; and waits', async () => {
    const { standIn, hosts } = await rigged('memory');
    await madeByHand(standIn);
    const about = standIn.answers().filter(({ outcome }) => outcome === 'unmatched');
    expect(about.length).toBeGreaterThan(0);
    expect(standIn.answers().every(({ status }) => status === 200)).toBe(true);
    expect(await hosts[0]?.billing.plan('acme')).toMatchObject({ tier: 'free', subscription: null });
  });

  it.each(Object.keys(STORES))('is done on %s when the host links the customer', async (name) => {
    const { standIn, hosts } = await rigged(name);
    const customerId = await madeByHand(standIn);
    const linking = { org: 'acme', customerId };
    const links = await Promise.all(hosts.map(({ billing }) => billing.linkCustomer(linking)));
    expect(links).toMatchObject(hosts.map(() => ({ checked: 1, unknown: 0, failed: 0 })));
    expect(await hosts[0]?.billing.plan('acme')).toMatchObject({ tier: 'pro' });
    await expect(hosts[1]?.billing.linkCustomer({ ...linking, org: 'globex' })).rejects.toMatchObject({
      code: 'customer_conflict',
    });
    await expect(
      hosts[1]?.billing.linkCustomer({ org: 'globex', customerId: 'cus_mistyped' }),
    ).rejects.toMatchObject({
      code: 'not_found',
    });
    standIn.deleteCustomer(customerId);
    await standIn.settled();
    expect(await hosts[0]?.billing.plan('acme')).toMatchObject({ tier: 'free' });
  });
});

describe('notices', () => {
  it('tell of each change and each invoice once, over two processes, and a listener that throws harms nothing', async () => {
    const { standIn, hosts } = await rigged('postgres');
    const heard: string[] = [];
    for (const { billing } of hosts) {
      billing.on('subscription.changed', ({ org, before, after }) => {
        heard.push(`${org}: ${before?.status ?? 'none'} -> ${after.status}`);
        throw new Error('A bad listener.');
      });
      billing.on('invoice.failed', ({ org }) => void heard.push(`${org}: failed`));
      billing.on('invoice.paid', ({ org }) => void heard.push(`${org}: paid`));
    }
    const { body } = await caller(hosts[0]?.api ?? '')('POST', '/orgs/acme/billing/checkout', {
      tier_slug: 'pro',
    });
    standIn.setDelivery(() => 'hold');
    const id = standIn.pay(body.external_id);
    await standIn.deliver(standIn.held().map((event) => event.id));
    standIn.setCard(standIn.contents().customers[0]?.id ?? '', 'declined');
    standIn.advance(31 * 86_400_000);
    const held = standIn.held().map((event) => event.id);
    await Promise.all([standIn.deliver(held), standIn.deliver([...held].reverse())]);
    expect(standIn.contents().subscriptions[0]).toMatchObject({ id, status: 'past_due' });
    expect(heard.sort()).toEqual([
      'acme: active -> past_due',
      'acme: failed',
      'acme: none -> active',
      'acme: paid',
    ]);
  });
});
