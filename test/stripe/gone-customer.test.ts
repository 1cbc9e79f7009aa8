import { type StripeStandIn, stripeStandIn } from '@tollgate/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { caller, type StripeHost, stripeHost } from './stripe-hosts.ts';
import { STORES } from './stripe-stores.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Two processes, and the org on a paid plan. */
async function rigged(name: string) {
  const hosts: StripeHost[] = [];
  const standIn = await stripeStandIn({ webhookUrl: () => hosts[0]?.webhookUrl ?? null });
  open.push(() => standIn.close());
  const store = await STORES[name]?.();
  if (store === undefined) throw new Error(`There is no ${name}.`);
  open.push(() => store.drop());
  const prices = { pro: standIn.addPrice({ amount: 1_900 }), business: standIn.addPrice({ amount: 9_900 }) };
  for (let process = 0; process < 2; process += 1) {
    const host = await stripeHost({ standIn, prices, repository: await store.handle() });
    open.push(() => host.close());
    hosts.push(host);
  }
  const buy = (tier: string, host = 0) =>
    caller(hosts[host]?.api ?? '')('POST', '/orgs/acme/billing/checkout', { tier_slug: tier });
  const portal = (host = 0) =>
    caller(hosts[host]?.api ?? '')('POST', '/orgs/acme/billing/portal', {
      return_url: 'https://app.example.com/billing',
    });
  const plan = async () => await hosts[0]?.billing.plan('acme');
  const { body } = await buy('pro');
  const subscriptionId = standIn.pay(body.external_id);
  await standIn.settled();
  return { standIn, buy, portal, plan, subscriptionId, billing: hosts[0]?.billing };
}

const customerOf = (standIn: StripeStandIn) => standIn.contents().customers[0]?.id ?? '';
const live = (standIn: StripeStandIn) =>
  standIn.contents().subscriptions.filter(({ ended_at }) => ended_at === null);

const WAYS: Readonly<Record<string, (standIn: StripeStandIn) => void>> = {
  'that was deleted at the desk': (standIn) => standIn.deleteCustomer(customerOf(standIn)),
  'that was deleted at the desk, of which no event came': (standIn) => {
    standIn.setDelivery(() => 'drop');
    standIn.deleteCustomer(customerOf(standIn));
    standIn.setDelivery(() => 'send');
  },
  'that went with all test data': (standIn) => standIn.wipe(),
};

describe.each(Object.keys(STORES))('on %s, the org of a customer', (name) => {
  describe.each(Object.entries(WAYS))('%s', (way, lose) => {
    it('buys again, as another customer', async () => {
      const { standIn, buy, plan } = await rigged(name);
      lose(standIn);
      const { status, body, headers } = await buy('business');
      expect({ status, body }).toMatchObject({ status: 200, body: { status: 'pending' } });
      expect(headers.get('location')).toContain(standIn.origin);
      expect(await plan()).toMatchObject({ tier: 'free', subscription: null });
      standIn.pay(body.external_id);
      await standIn.settled();
      expect(await plan()).toMatchObject({ tier: 'business', subscription: { status: 'active' } });
      expect(live(standIn)).toHaveLength(1);
      expect((await buy('business')).body).toMatchObject({ status: 'active' });
    });

    it('has one other customer and one page, though many ask at once in two processes', async () => {
      const { standIn, buy, portal } = await rigged(name);
      lose(standIn);
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, index) =>
          index % 3 === 2 ? portal(index % 2) : buy('business', index % 2),
        ),
      );
      for (const { status, body } of answers) {
        if (status !== 200)
          expect({ status, code: body.error_code }).toEqual({ status: 409, code: 'checkout_in_progress' });
      }
      expect(standIn.contents().customers).toHaveLength(1);
      expect(
        standIn
          .contents()
          .sessions.filter(({ status, customer }) => status === 'open' && customer === customerOf(standIn)),
      ).toHaveLength(1);
    });

    it('comes to a portal', async () => {
      const { standIn, portal, plan, billing } = await rigged(name);
      lose(standIn);
      const { status, body } = await portal();
      expect({ status, body }).toMatchObject({ status: 200, body: { url: expect.any(String) } });
      // What Stripe does not know at all is told of by a sync, and ended by the next checkout.
      const ends = way === 'that went with all test data' ? { unknown: 1 } : { unknown: 0 };
      expect(await billing?.sync({ org: 'acme' })).toMatchObject(ends);
      expect((await plan())?.tier).toBe(ends.unknown === 0 ? 'free' : 'pro');
    });

    it('can choose the default plan', async () => {
      const { standIn, buy, plan } = await rigged(name);
      lose(standIn);
      expect((await buy('free')).body).toMatchObject({ external_id: 'default', tier_slug: 'free' });
      expect(await plan()).toMatchObject({ tier: 'free', subscription: null });
    });
  });

  it('whose page was still open is not sent to that page', async () => {
    const { standIn, buy, subscriptionId } = await rigged(name);
    standIn.setStatus(subscriptionId, 'canceled');
    await standIn.settled();
    const before = await buy('business');
    standIn.deleteCustomer(customerOf(standIn));
    const after = await buy('business');
    expect(after.status).toBe(200);
    expect(after.body.external_id).not.toBe(before.body.external_id);
    standIn.pay(after.body.external_id);
    expect(live(standIn)).toHaveLength(1);
  });

  it('is left alone while nobody is sure that it is gone', async () => {
    const { standIn, buy, portal, plan } = await rigged(name);
    const customer = customerOf(standIn);
    for (const fault of [{ status: 500 }, { status: 429 }, { timeout: true }, { garbage: true }] as const) {
      standIn.failAll(fault);
      expect((await buy('business')).status).toBeGreaterThan(500);
      expect((await portal()).status).toBeGreaterThan(500);
      standIn.failAll(null);
    }
    standIn.deleteCustomer(customer);
    standIn.failNext(
      { status: 500 },
      { times: 9, when: ({ method, path }) => method === 'GET' && path.startsWith('/v1/customers/') },
    );
    expect((await portal()).status).toBe(502);
    expect(standIn.contents().customers).toEqual([]);
    await standIn.settled();
    expect(await plan()).toMatchObject({ tier: 'free' });
  });
});
