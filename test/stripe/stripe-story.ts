import type { StripeStandIn } from '@tollgate/testing';
import { expect } from 'vitest';
import { type caller, press } from './stripe-hosts.ts';

const DAY_MS = 86_400_000;

/**
 * The life of a paying org, over HTTP alone: it buys on the hosted page, goes up, goes down, is renewed, misses a payment, pays, leaves, comes
 * back on its decision, leaves for good.
 */
export async function tellStory(
  standIn: StripeStandIn,
  call: ReturnType<typeof caller>,
  org: string,
): Promise<void> {
  const checkout = async (tier: string) => {
    const answer = await call('POST', `/orgs/${org}/billing/checkout`, { tier_slug: tier });
    expect(answer.status, answer.text).toBe(200);
    await standIn.settled();
    return answer;
  };
  const plan = async () => (await call('GET', `/orgs/${org}/billing/plan`)).body;
  const advance = async (days: number) => {
    standIn.advance(days * DAY_MS);
    await standIn.settled();
  };
  const mine = () => standIn.contents().subscriptions;

  expect(await plan()).toMatchObject({ tier_id: 'free', subscription: null });

  // It buys.
  const bought = await checkout('pro');
  const page = bought.headers.get('location') ?? '';
  expect(bought.body).toEqual({
    provider: 'stripe',
    external_id: expect.stringMatching(/^cs_test_/),
    tier_slug: 'pro',
    status: 'pending',
  });
  expect(new URL(page).origin).toBe(standIn.origin);
  expect((await checkout('pro')).headers.get('location')).toBe(page);
  expect((await press(page, { action: 'decline' })).status).toBe(402);
  expect((await press(page, { action: 'confirm' })).headers.get('location')).toMatch(/^http/);
  await standIn.settled();
  const id = mine()[0]?.id ?? '';
  const ref = (tier: string, status = 'active') => ({
    provider: 'stripe',
    external_id: id,
    tier_slug: tier,
    status,
  });
  expect(await plan()).toMatchObject({ tier_id: 'pro', subscription: ref('pro') });

  // It goes up, and down again.
  expect((await checkout('business')).body).toEqual(ref('business'));
  expect(await plan()).toMatchObject({ tier_id: 'business', subscription: ref('business') });
  expect((await checkout('pro')).body).toEqual(ref('pro'));
  expect(await plan()).toMatchObject({ tier_id: 'pro', subscription: ref('pro') });

  // It is renewed.
  await advance(31);
  expect(standIn.contents().invoices.at(-1)).toMatchObject({
    billing_reason: 'subscription_cycle',
    status: 'paid',
  });
  expect(await plan()).toMatchObject({ tier_id: 'pro', subscription: ref('pro') });

  // Its card fails: it keeps its tier. It pays.
  const customer = mine()[0]?.customer ?? '';
  standIn.setCard(customer, 'declined');
  await advance(31);
  expect(await plan()).toMatchObject({ tier_id: 'pro', subscription: ref('pro', 'past_due') });
  const portal = await call('POST', `/orgs/${org}/billing/portal`, {
    return_url: await returnUrl(call, org),
  });
  expect(portal.status, portal.text).toBe(200);
  expect((await press(portal.body.url, { action: 'card', subscription: id })).status).toBe(303);
  await standIn.settled();
  expect(await plan()).toMatchObject({ tier_id: 'pro', subscription: ref('pro') });

  // It leaves, thinks better of it, and leaves for good: the tier lasts until the end of what is paid.
  expect((await checkout('free')).body).toEqual(ref('pro'));
  expect(mine()[0]).toMatchObject({ cancel_at_period_end: true });
  await checkout('pro');
  expect(mine()[0]).toMatchObject({ cancel_at_period_end: false, cancel_at: null });
  await checkout('free');
  expect(await plan()).toMatchObject({ tier_id: 'pro' });
  await advance(31);
  expect(await plan()).toMatchObject({ tier_id: 'free', subscription: null });

  expect(mine()).toHaveLength(1);
  const posted = standIn.answers();
  expect(posted.length).toBeGreaterThan(20);
  expect(posted.filter(({ status }) => status !== 200)).toEqual([]);
  expect(posted.filter(({ outcome }) => outcome === 'applied').length).toBeGreaterThan(10);
}

async function returnUrl(call: ReturnType<typeof caller>, org: string): Promise<string> {
  for (const url of RETURN_URLS) {
    const answer = await call('POST', `/orgs/${org}/billing/portal`, { return_url: url });
    if (answer.status === 200) return url;
  }
  throw new Error('No return address is allowed.');
}

const RETURN_URLS: string[] = ['https://app.example.com/billing'];

/** Lets the story come back from the portal to an app of another origin. */
export function alsoReturnTo(url: string): void {
  RETURN_URLS.push(url);
}
