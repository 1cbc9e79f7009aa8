import type { PaymentProvider } from '@tollgate/core';
import { type StripeStandIn, stripeStandIn } from '@tollgate/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { caller, type StripeHost, stripeHost } from './stripe-hosts.ts';
import { STORES } from './stripe-stores.ts';

const DAY_MS = 86_400_000;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Two processes, and an org whose trial has just ended without a card. */
async function rigged(name: string, wrapProvider?: (provider: PaymentProvider) => PaymentProvider) {
  const hosts: StripeHost[] = [];
  const standIn = await stripeStandIn({ webhookUrl: () => hosts[0]?.webhookUrl ?? null });
  open.push(() => standIn.close());
  const store = await STORES[name]?.();
  if (store === undefined) throw new Error(`There is no ${name}.`);
  open.push(() => store.drop());
  const prices = { pro: standIn.addPrice({ amount: 1_900 }), business: standIn.addPrice({ amount: 9_900 }) };
  const stripe = { trialDays: 7, trialNeedsCard: false, trialEndsWithoutCard: 'pause' } as const;
  for (let process = 0; process < 2; process += 1) {
    const host = await stripeHost({
      standIn,
      prices,
      stripe,
      repository: await store.handle(),
      ...(wrapProvider === undefined ? {} : { wrapProvider }),
    });
    open.push(() => host.close());
    hosts.push(host);
  }
  const buy = (tier: string, host = 0) =>
    caller(hosts[host]?.api ?? '')('POST', '/orgs/acme/billing/checkout', { tier_slug: tier });
  const plan = async () => await hosts[0]?.billing.plan('acme');
  const { body } = await buy('pro');
  const subscriptionId = standIn.pay(body.external_id);
  standIn.setCard(standIn.contents().customers[0]?.id ?? '', 'none');
  standIn.advance(8 * DAY_MS);
  await standIn.settled();
  expect(await plan()).toMatchObject({ tier: 'free', subscription: { status: 'paused' } });
  return { standIn, buy, plan, subscriptionId };
}

const live = (standIn: StripeStandIn) =>
  standIn.contents().subscriptions.filter(({ ended_at }) => ended_at === null);
const openPages = (standIn: StripeStandIn) =>
  standIn.contents().sessions.filter(({ status }) => status === 'open');

describe.each(Object.keys(STORES))('on %s, an org whose trial ended without a card', (name) => {
  it.each(['pro', 'business'])(
    'comes to a page where it can pay, and has one subscription then: %s',
    async (tier) => {
      const { standIn, buy, plan, subscriptionId } = await rigged(name);
      const { body, headers } = await buy(tier);
      expect(body).toMatchObject({ status: 'pending', tier_slug: tier });
      expect(headers.get('location')).toContain(standIn.origin);
      expect(live(standIn)).toEqual([]);
      const next = standIn.pay(body.external_id);
      await standIn.settled();
      expect(next).not.toBe(subscriptionId);
      expect(live(standIn)).toMatchObject([{ id: next, status: 'active', trial_end: null }]);
      expect(await plan()).toMatchObject({ tier, subscription: { id: next, status: 'active' } });
    },
  );

  it('comes to one page, though many ask at once in two processes', async () => {
    const { standIn, buy } = await rigged(name);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => buy(index % 3 === 0 ? 'pro' : 'business', index % 2)),
    );
    for (const { status, body } of answers) {
      if (status === 200) expect(body.status).toBe('pending');
      else expect(body.error_code).toBe('checkout_in_progress');
    }
    expect(live(standIn)).toEqual([]);
    expect(openPages(standIn)).toHaveLength(1);
  });

  it('leaves the trial for good when it chooses the default plan', async () => {
    const { standIn, buy, plan } = await rigged(name);
    expect((await buy('free')).body).toMatchObject({ external_id: 'default', tier_slug: 'free' });
    expect(live(standIn)).toEqual([]);
    expect(await plan()).toMatchObject({ tier: 'free', subscription: null });
  });

  it('keeps the subscription, changed, when it is resumed while it buys', async () => {
    let resume: (id: string) => Promise<void> = async () => {};
    const { standIn, buy, subscriptionId } = await rigged(name, (provider) => ({
      ...provider,
      cancelSubscription: async (request) => {
        await resume(request.subscriptionId);
        return await provider.cancelSubscription(request);
      },
    }));
    resume = async (id) => {
      standIn.setCard(standIn.contents().customers[0]?.id ?? '', 'works');
      const answer = await fetch(`${standIn.origin}/v1/subscriptions/${id}/resume`, {
        method: 'POST',
        headers: { authorization: `Bearer ${standIn.secretKey}` },
      });
      expect(answer.status).toBe(200);
    };
    const { body } = await buy('business');
    expect(body).toMatchObject({ external_id: subscriptionId, tier_slug: 'business', status: 'active' });
    expect(live(standIn)).toMatchObject([{ id: subscriptionId, cancel_at: null }]);
    expect(openPages(standIn)).toEqual([]);
  });
});

describe('an org whose subscription was paused at the desk', () => {
  it('has it changed and never doubled: what was paid for is not taken away', async () => {
    const { standIn, buy } = await rigged('memory');
    const { body } = await buy('pro');
    const id = standIn.pay(body.external_id);
    standIn.setStatus(id, 'paused');
    await standIn.settled();
    expect((await buy('business')).body).toMatchObject({
      external_id: id,
      tier_slug: 'business',
      status: 'paused',
    });
    expect(live(standIn)).toMatchObject([{ id }]);
    expect(openPages(standIn)).toEqual([]);
  });
});
