import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { StoredSubscription } from '../ports/billing-repository.ts';
import type { ProviderSubscription } from '../ports/payment-provider.ts';
import { createWorld, type World } from './subscription-world.test-support.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const order = (tier: string, org = 'acme') => ({ org, tier, actor: 'alice' });
const openPages = () => world.sandbox.contents().sessions.filter(({ state }) => state === 'open');
const subscriptions = () => world.sandbox.contents().subscriptions;
const isLive = ({ endedAt }: { readonly endedAt: number | null }) => endedAt === null;

describe('checkout of an org without a subscription', () => {
  it('answers a pending reference and the page to pay on', async () => {
    const { subscription, location } = await world.checkout(order('pro'));
    const [page] = openPages();
    expect(subscription).toEqual({
      provider: 'sandbox',
      externalId: page?.id,
      tier: 'pro',
      status: 'pending',
    });
    expect(location).toBe(`${world.sandbox.origin}/checkout/${page?.id}`);
  });

  it('answers the same page to a second call', async () => {
    const first = await world.checkout(order('pro'));
    expect(await world.checkout(order('pro'))).toEqual(first);
    expect(openPages()).toHaveLength(1);
  });

  it('T27: gives one page and one customer to fifty calls at once, in two processes', async () => {
    const other = world.process();
    const calls = Array.from({ length: 50 }, (_, index) =>
      (index % 2 === 0 ? world : other).checkout(order('pro')),
    );
    const results = await Promise.allSettled(calls);
    const pages = new Set<string>();
    for (const result of results) {
      if (result.status === 'fulfilled') pages.add(result.value.subscription.externalId);
      else expect(result.reason).toMatchObject({ code: 'checkout_in_progress', retryAfterSeconds: 1 });
    }
    expect(pages.size).toBe(1);
    expect(openPages()).toHaveLength(1);
    expect(world.sandbox.contents().customers).toHaveLength(1);
  });

  it('ends the open page of another tier before it opens one', async () => {
    const first = await world.checkout(order('pro'));
    const second = await world.checkout(order('business'));
    expect(openPages()).toMatchObject([{ id: second.subscription.externalId, tier: 'business' }]);
    expect(() => world.sandbox.confirm(first.subscription.externalId)).toThrow(TollgateError);
  });

  it('opens a new page when the stored one is gone at the provider', async () => {
    const first = await world.checkout(order('pro'));
    world.sandbox.decline(first.subscription.externalId);
    const second = await world.checkout(order('pro'));
    expect(second.subscription.externalId).not.toBe(first.subscription.externalId);
    expect(second.subscription.status).toBe('pending');
  });

  it('writes down who started it', async () => {
    const { subscription } = await world.checkout(order('pro'));
    expect(world.repository.contents().audit).toMatchObject([
      {
        actor: 'alice',
        action: 'checkout.started',
        org: 'acme',
        subject: subscription.externalId,
        after: { tier: 'pro' },
      },
    ]);
  });

  it('answers the default reference for the default tier, asking the provider nothing', async () => {
    world.sandbox.setOutage('error');
    expect(await world.checkout(order('free'))).toEqual({
      subscription: { provider: 'sandbox', externalId: 'default', tier: 'free', status: 'active' },
      location: null,
    });
  });

  it('closes an open page when the org decides for the default tier', async () => {
    await world.checkout(order('pro'));
    expect((await world.checkout(order('free'))).subscription.externalId).toBe('default');
    expect(openPages()).toEqual([]);
  });
});

describe('T28: checkout of a tier that cannot be bought', () => {
  it.each(['enterprise', 'nope', '', '__proto__', 'constructor', 'PRO', 'pro '])(
    'is refused: %j',
    async (tier) => {
      await expect(world.checkout(order(tier))).rejects.toMatchObject({ code: 'unknown_tier', status: 400 });
      expect(world.sandbox.contents()).toEqual({ customers: [], sessions: [], subscriptions: [] });
      expect(world.repository.contents().customers.size).toBe(0);
    },
  );

  it('is refused when the provider has no price for it', async () => {
    const few = world.process({ provider: { sells: (tier) => tier === 'pro' } });
    await expect(few.checkout(order('business'))).rejects.toMatchObject({ code: 'unknown_tier' });
  });

  it('is refused for an org id of another form', async () => {
    await expect(world.checkout(order('pro', 'a/b'))).rejects.toMatchObject({ code: 'invalid_org_id' });
  });

  it('says so when nothing is sold here', async () => {
    const none = world.process({ provider: null });
    await expect(none.checkout(order('pro'))).rejects.toMatchObject({ code: 'provider_not_configured' });
  });
});

describe('checkout of an org with a subscription', () => {
  it('answers the current reference for the same tier, changing nothing at the provider', async () => {
    const id = await world.subscribe('acme', 'pro');
    const events = world.sandbox.events().length;
    expect(await world.checkout(order('pro'))).toEqual({
      subscription: { provider: 'sandbox', externalId: id, tier: 'pro', status: 'active' },
      location: null,
    });
    expect(world.sandbox.events()).toHaveLength(events);
    expect(openPages()).toEqual([]);
  });

  it.each(['active', 'past_due', 'paused', 'unpaid', 'trialing', 'on_hold'])(
    'changes it and makes no second one: %s',
    async (status) => {
      const id = await world.subscribe('acme', 'pro');
      world.sandbox.setStatus(id, status);
      const { subscription, location } = await world.checkout(order('business'));
      expect({ subscription, location }).toEqual({
        subscription: { provider: 'sandbox', externalId: id, tier: 'business', status },
        location: null,
      });
      expect(subscriptions()).toMatchObject([{ id, tier: 'business', status }]);
      expect(await world.stored(id)).toMatchObject({ tier: 'business', status });
    },
  );

  it('stores the change at once and drops the org’s view, before any webhook', async () => {
    const id = await world.subscribe('acme', 'pro');
    world.dropped.length = 0;
    await world.checkout(order('business'));
    expect(await world.stored(id)).toMatchObject({ tier: 'business' });
    expect(world.dropped).toContain('acme');
    expect(world.changes.at(-1)).toMatchObject({ before: { tier: 'pro' }, after: { tier: 'business' } });
  });

  it.each(['business', null])(
    'calls off a change that is scheduled, for the tier it has: to %s',
    async (scheduledTier) => {
      const id = await world.subscribe('acme', 'pro');
      const changed: string[] = [];
      const { listSubscriptions, changeSubscription } = world.sandbox;
      const scheduled = { scheduledTier, scheduledAt: world.clock.now() + 1 };
      const desk = world.process({
        provider: {
          listSubscriptions: async (request) =>
            (await listSubscriptions(request)).map((subscription) => ({ ...subscription, ...scheduled })),
          changeSubscription: (request) => {
            changed.push(request.subscriptionId);
            return changeSubscription(request);
          },
        },
      });
      await desk.checkout(order('pro'));
      expect(changed).toEqual([id]);
    },
  );

  it('opens a page when the last subscription has ended', async () => {
    const id = await world.subscribe('acme', 'pro');
    world.sandbox.setStatus(id, 'canceled');
    expect((await world.checkout(order('pro'))).subscription.status).toBe('pending');
  });

  it('ends one whose first payment never came before it opens a page', async () => {
    const id = await world.subscribe('acme', 'pro');
    world.sandbox.setStatus(id, 'incomplete');
    expect((await world.checkout(order('pro'))).subscription.status).toBe('pending');
    expect(subscriptions()).toMatchObject([{ id, status: 'canceled' }]);
    expect(await world.stored(id)).toMatchObject({ status: 'canceled' });
  });

  it.each(['pro', 'business'])(
    'ends a trial that lapsed without a card before it opens a page: %s',
    async (tier) => {
      const id = await world.subscribe('acme', 'pro');
      world.sandbox.setStatus(id, 'paused');
      const { listSubscriptions } = world.sandbox;
      const lapsed = world.process({
        provider: {
          listSubscriptions: async (request) =>
            (await listSubscriptions(request)).map((subscription) => ({
              ...subscription,
              isLapsedTrial: true,
            })),
        },
      });
      expect((await lapsed.checkout(order(tier))).subscription).toMatchObject({ tier, status: 'pending' });
      expect(subscriptions()).toMatchObject([{ id, status: 'canceled' }]);
      expect(await world.stored(id)).toMatchObject({ status: 'canceled' });
    },
  );

  it('changes the subscription that a lost webhook never told of', async () => {
    const { subscription: pending } = await world.checkout(order('pro'));
    const { subscriptionId } = world.sandbox.confirm(pending.externalId);
    const { subscription } = await world.checkout(order('business'));
    expect(subscription).toMatchObject({ externalId: subscriptionId, tier: 'business', status: 'active' });
    expect(subscriptions()).toHaveLength(1);
  });

  it('ends an open page when a subscription was made elsewhere meanwhile, and changes that one', async () => {
    await world.checkout(order('pro'));
    const [customer] = world.sandbox.contents().customers;
    const desk = { org: 'acme', customerId: customer?.id ?? '', tier: 'business', idempotencyKey: 'desk' };
    const { subscriptionId } = world.sandbox.confirm((await world.sandbox.openCheckout(desk)).id);
    const { subscription } = await world.checkout(order('pro'));
    expect(subscription).toMatchObject({ externalId: subscriptionId, tier: 'pro', status: 'active' });
    expect(openPages()).toEqual([]);
  });

  it.each(['active', 'past_due', 'unpaid', 'paused'])(
    'changes the plan’s one, not an older one of a price that is in no tier: %s',
    async (status) => {
      await world.portal({ org: 'acme', returnUrl: 'https://app.example.com/billing' });
      const [customer] = world.sandbox.contents().customers;
      const { listSubscriptions, openCheckout } = world.sandbox;
      const made: (string | null)[] = [];
      for (const tier of ['support', 'pro']) {
        const request = { org: 'acme', customerId: customer?.id ?? '', tier, idempotencyKey: tier };
        made.push(world.sandbox.confirm((await openCheckout(request)).id).subscriptionId);
        world.clock.advance(1_000);
      }
      const [support, plan] = made;
      world.sandbox.setStatus(plan ?? '', status);
      const process = world.process({
        provider: {
          listSubscriptions: async (request) =>
            (await listSubscriptions(request)).map((one) => ({
              ...one,
              tier: one.tier === 'support' ? null : one.tier,
            })),
        },
      });
      expect((await process.checkout(order('pro'))).subscription.externalId).toBe(plan);
      expect((await process.checkout(order('business'))).subscription).toMatchObject({
        externalId: plan,
        tier: 'business',
      });
      expect(subscriptions().find(({ id }) => id === support)).toMatchObject({
        tier: 'support',
        endedAt: null,
      });
    },
  );

  it('changes one that was ended here alone, and opens no page beside it', async () => {
    const id = await world.subscribe('acme', 'pro');
    const other = await createWorld();
    await world.process({ provider: other.sandbox }).checkout(order('free'));
    expect((await world.checkout(order('business'))).subscription).toMatchObject({ externalId: id });
    expect(subscriptions()).toMatchObject([{ id, tier: 'business' }]);
    await other.close();
  });

  it('changes one that the provider’s list leaves out, and opens no page beside it', async () => {
    const id = await world.subscribe('acme', 'pro');
    const short = world.process({ provider: { listSubscriptions: async () => [] } });
    expect((await short.checkout(order('business'))).subscription).toMatchObject({ externalId: id });
    expect(openPages()).toEqual([]);
  });

  it('changes one that could not be stored, and opens no page beside it', async () => {
    const { subscription: pending } = await world.checkout(order('pro'));
    const { subscriptionId: id } = world.sandbox.confirm(pending.externalId);
    const contended = world.process({ repository: { saveSubscription: async () => 'conflict' } });
    expect((await contended.checkout(order('business'))).subscription).toMatchObject({ externalId: id });
    expect(openPages()).toEqual([]);
  });

  it('is changed once, however often another writer comes first', async () => {
    const id = await world.subscribe('acme', 'pro');
    const { saveSubscription } = world.repository;
    const { changeSubscription } = world.sandbox;
    let changes = 0;
    let conflicts = 0;
    const late = world.process({
      repository: {
        saveSubscription: (write) => {
          if (write.subscription.tier !== 'business' || conflicts === 3) return saveSubscription(write);
          conflicts += 1;
          return Promise.resolve('conflict');
        },
      },
      provider: {
        changeSubscription: (request) => {
          changes += 1;
          return changeSubscription(request);
        },
      },
    });
    await late.checkout(order('business'));
    expect({ changes, conflicts }).toEqual({ changes: 1, conflicts: 3 });
    expect(await world.stored(id)).toMatchObject({ tier: 'business' });
  });

  it('answers the subscription that was paid while its webhook is on its way', async () => {
    const { subscription: pending } = await world.checkout(order('pro'));
    const { subscriptionId } = world.sandbox.confirm(pending.externalId);
    expect((await world.checkout(order('pro'))).subscription).toMatchObject({
      externalId: subscriptionId,
      status: 'active',
    });
  });

  it('T27: makes one change of twenty calls at once, in two processes', async () => {
    const id = await world.subscribe('acme', 'pro');
    const other = world.process();
    const calls = Array.from({ length: 20 }, (_, index) =>
      (index % 2 === 0 ? world : other).checkout(order('business')),
    );
    await Promise.allSettled(calls);
    const updates = world.sandbox.events().filter(({ type }) => type === 'subscription.updated');
    expect(updates).toHaveLength(1);
    expect(subscriptions()).toMatchObject([{ id, tier: 'business' }]);
  });

  it('T27: never has two live subscriptions, whatever tiers are asked for at once', async () => {
    const tiers = ['pro', 'business', 'free', 'pro', 'business', 'free', 'business', 'pro'];
    for (let round = 0; round < 10; round += 1) {
      const results = await Promise.allSettled(tiers.map((tier) => world.checkout(order(tier))));
      for (const result of results) {
        if (result.status === 'fulfilled' && result.value.location !== null) {
          const { state } =
            (await world.sandbox.fetchCheckout({ sessionId: result.value.subscription.externalId })) ?? {};
          if (state === 'open') world.sandbox.confirm(result.value.subscription.externalId);
        }
      }
      expect(subscriptions().filter(isLive).length).toBeLessThanOrEqual(1);
      expect(openPages()).toEqual([]);
    }
  });
});

it('opens a page beside one of a provider that is not configured any more, and does not ask the new one to end that', async () => {
  const { subscription: old } = await world.checkout(order('pro'));
  const ended: string[] = [];
  const expireCheckout = async ({ sessionId }: { readonly sessionId: string }) => {
    ended.push(sessionId);
    throw new TollgateError('provider_error');
  };
  const anew = world.process({ provider: { name: 'another', expireCheckout } });
  const opened = await anew.checkout(order('business'));
  expect(opened).toMatchObject({ subscription: { provider: 'another', status: 'pending' } });
  expect(opened.subscription.externalId).not.toBe(old.externalId);
  expect(ended).toEqual([]);
  expect((await anew.checkout(order('business'))).subscription).toEqual(opened.subscription);
});

describe('checkout of the default tier', () => {
  it.each(['without a customer', 'with one'])(
    'answers what the org has of a provider that is not configured any more, %s of the new one, and not that it left',
    async (which) => {
      const id = await world.subscribe('acme', 'pro');
      const anew = world.process({ provider: { name: 'another' } });
      if (which === 'with one') await anew.portal({ org: 'acme', returnUrl: 'https://app.example.com/' });
      const { subscription } = await anew.checkout(order('free'));
      expect(subscription).toEqual({ provider: 'sandbox', externalId: id, tier: 'pro', status: 'active' });
      expect(await world.stored(id)).toMatchObject({ status: 'active' });
      expect(anew.logs).toMatchObject([{ level: 'warn', facts: { org: 'acme' } }]);
      await world.checkout(order('free'));
      expect((await anew.checkout(order('free'))).subscription).toMatchObject({ externalId: 'default' });
    },
  );

  it('names no tier for what the org has at a price of none, as its plan does', async () => {
    const id = await world.subscribe('acme', 'pro');
    const { version, ...subscription } = (await world.stored(id)) as StoredSubscription;
    const support = { ...subscription, tier: null };
    await world.repository.saveSubscription({ subscription: support, expectedVersion: version, audit: null });
    const anew = world.process({ provider: { name: 'another' } });
    expect((await anew.checkout(order('free'))).subscription).toMatchObject({ externalId: id, tier: '' });
  });

  it('answers the default tier where what is left of a provider that is not configured any more was never paid, and never will be', async () => {
    const id = await world.subscribe('acme', 'pro');
    const { version, ...subscription } = (await world.stored(id)) as StoredSubscription;
    const unpaid = { ...subscription, status: 'incomplete' };
    await world.repository.saveSubscription({ subscription: unpaid, expectedVersion: version, audit: null });
    const anew = world.process({ provider: { name: 'another' } });
    expect((await anew.checkout(order('free'))).subscription).toMatchObject({ externalId: 'default' });
    expect(anew.logs).toEqual([]);
  });

  it('ends the live subscription at once and answers the default reference', async () => {
    const id = await world.subscribe('acme', 'pro');
    const { subscription } = await world.checkout(order('free'));
    expect(subscription).toEqual({
      provider: 'sandbox',
      externalId: 'default',
      tier: 'free',
      status: 'active',
    });
    expect(await world.stored(id)).toMatchObject({ status: 'canceled', endedAt: world.clock.now() });
  });

  it('ends every live subscription, those made at the provider’s desk too', async () => {
    await world.subscribe('acme', 'pro');
    const [customer] = world.sandbox.contents().customers;
    const request = { org: 'acme', customerId: customer?.id ?? '', tier: 'business', idempotencyKey: 'desk' };
    world.sandbox.confirm((await world.sandbox.openCheckout(request)).id);
    await world.checkout(order('free'));
    expect(subscriptions()).toHaveLength(2);
    expect(subscriptions().filter(isLive)).toEqual([]);
  });

  describe('when the provider ends at the period’s end', () => {
    let late: World;
    let id: string;
    beforeEach(async () => {
      late = await createWorld({ cancel: 'at_period_end' });
      id = await late.subscribe('acme', 'pro');
    });
    afterEach(async () => {
      await late.close();
    });

    it('answers the subscription that runs on till then, and a repeat changes nothing', async () => {
      const { subscription } = await late.checkout(order('free'));
      expect(subscription).toEqual({ provider: 'sandbox', externalId: id, tier: 'pro', status: 'active' });
      expect(await late.stored(id)).toMatchObject({ status: 'active', cancelsAt: expect.any(Number) });
      const events = late.sandbox.events().length;
      expect((await late.checkout(order('free'))).subscription).toEqual(subscription);
      expect(late.sandbox.events()).toHaveLength(events);
    });

    it('ends the others too where one ends by then already, which is left as it is', async () => {
      const [customer] = late.sandbox.contents().customers;
      const { openCheckout, cancelSubscription } = late.sandbox;
      const desk = { org: 'acme', customerId: customer?.id ?? '', tier: 'business', idempotencyKey: 'desk' };
      late.sandbox.confirm((await openCheckout(desk)).id);
      await cancelSubscription({ subscriptionId: id, idempotencyKey: 'desk-end' });
      const events = late.sandbox.events().length;
      await late.checkout(order('free'));
      expect(late.sandbox.contents().subscriptions.map(({ cancelsAt }) => cancelsAt)).not.toContain(null);
      expect(late.sandbox.events()).toHaveLength(events + 1);
    });

    it('brings an end that is set for a date beyond the paid period forward to its end', async () => {
      const yearEnd = late.clock.now() + 365 * 86_400_000;
      const onPaper = (of: ProviderSubscription) => ({ ...of, cancelsAt: of.cancelsAt ?? yearEnd });
      const { fetchSubscription, listSubscriptions } = late.sandbox;
      const fixed = late.process({
        provider: {
          listSubscriptions: async (request) => (await listSubscriptions(request)).map(onPaper),
          fetchSubscription: async (request) => {
            const found = await fetchSubscription(request);
            return found && onPaper(found);
          },
        },
      });
      await fixed.sync({ org: 'acme' });
      expect(await late.stored(id)).toMatchObject({ cancelsAt: yearEnd });
      await fixed.checkout(order('free'));
      const stored = await late.stored(id);
      expect(stored).toMatchObject({ status: 'active', cancelsAt: stored?.currentPeriodEndsAt });
      expect(stored?.cancelsAt).toBeLessThan(yearEnd);
    });

    it('calls the end off when the same tier is asked for again', async () => {
      await late.checkout(order('free'));
      const { subscription } = await late.checkout(order('pro'));
      expect(subscription).toMatchObject({ externalId: id, tier: 'pro', status: 'active' });
      expect(await late.stored(id)).toMatchObject({ cancelsAt: null });
    });
  });
});

describe('checkout when something fails', () => {
  it.each([
    ['error', 'provider_error', 502],
    ['timeout', 'provider_timeout', 504],
    ['busy', 'provider_busy', 503],
  ] as const)('T29: answers the provider’s %s as %s', async (outage, code, status) => {
    world.sandbox.setOutage(outage);
    await expect(world.checkout(order('pro'))).rejects.toMatchObject({ code, status });
    world.sandbox.setOutage(null);
    expect((await world.checkout(order('pro'))).subscription.status).toBe('pending');
  });

  it('T29: answers an error foreign to the port as provider_error, without its text', async () => {
    const secret = 'sk_live_4242';
    const broken = world.process({ provider: { openCheckout: () => Promise.reject(new Error(secret)) } });
    const error = await broken.checkout(order('pro')).catch((thrown: TollgateError) => thrown);
    expect(error).toMatchObject({ code: 'provider_error' });
    expect(String((error as TollgateError).message)).not.toContain(secret);
    expect(JSON.stringify(broken.logs)).not.toContain(secret);
  });

  it.each(['https://evil.example/pay', 'javascript:alert(1)', 'http://127.0.0.1/pay', ''])(
    'T20: sends nobody to a page elsewhere, and ends it: %j',
    async (url) => {
      const { openCheckout } = world.sandbox;
      const odd = world.process({
        provider: { openCheckout: async (request) => ({ ...(await openCheckout(request)), url }) },
      });
      await expect(odd.checkout(order('pro'))).rejects.toMatchObject({ code: 'provider_error' });
      expect(openPages()).toEqual([]);
      expect((await world.checkout(order('pro'))).subscription.status).toBe('pending');
    },
  );

  it('T20: sends nobody back to a page that is elsewhere by now', async () => {
    await world.checkout(order('pro'));
    const { fetchCheckout } = world.sandbox;
    const odd = world.process({
      provider: {
        async fetchCheckout(request) {
          const page = await fetchCheckout(request);
          return page === null ? null : { ...page, url: 'https://evil.example/pay' };
        },
      },
    });
    await expect(odd.checkout(order('pro'))).rejects.toMatchObject({ code: 'provider_error' });
  });

  it('F28: leaves one page after the answer to opening it was lost', async () => {
    await world.checkout(order('free'));
    const { openCheckout } = world.sandbox;
    let losses = 1;
    const lossy = world.process({
      provider: {
        openCheckout: async (request) => {
          const session = await openCheckout(request);
          losses -= 1;
          if (losses >= 0) throw new TollgateError('provider_timeout');
          return session;
        },
      },
    });
    await expect(lossy.checkout(order('pro'))).rejects.toMatchObject({ code: 'provider_timeout' });
    const { subscription } = await lossy.checkout(order('pro'));
    // The first page's address was never told to anybody: only the second can be paid.
    world.sandbox.confirm(subscription.externalId);
    expect(subscriptions()).toHaveLength(1);
  });

  it('F28: stores what a change did although its answer was lost, at the next call', async () => {
    const id = await world.subscribe('acme', 'pro');
    const { changeSubscription } = world.sandbox;
    const lossy = world.process({
      provider: {
        changeSubscription: async (request) => {
          await changeSubscription(request);
          throw new TollgateError('provider_timeout');
        },
      },
    });
    await expect(lossy.checkout(order('business'))).rejects.toMatchObject({ code: 'provider_timeout' });
    expect((await lossy.checkout(order('business'))).subscription).toMatchObject({
      externalId: id,
      tier: 'business',
    });
    expect(await world.stored(id)).toMatchObject({ tier: 'business' });
  });

  it('answers checkout_in_progress while another caller holds the claim, and goes on when its lease is over', async () => {
    await world.repository.claimCheckout({
      org: 'acme',
      provider: 'sandbox',
      tier: 'pro',
      id: 'dead',
      leaseMs: 60_000,
    });
    await expect(world.checkout(order('pro'))).rejects.toMatchObject({
      code: 'checkout_in_progress',
      status: 409,
    });
    world.clock.advance(60_001);
    expect((await world.checkout(order('pro'))).subscription.status).toBe('pending');
  });

  it('T27: leaves no page to pay on beside the new one, though ending it failed at first', async () => {
    const old = await world.checkout(order('pro'));
    const unable = world.process({
      provider: { expireCheckout: () => Promise.reject(new TollgateError('provider_timeout')) },
    });
    await expect(unable.checkout(order('business'))).rejects.toMatchObject({ code: 'provider_timeout' });
    expect(await world.checkout(order('pro'))).toEqual(old);
    await expect(unable.checkout(order('business'))).rejects.toMatchObject({ code: 'provider_timeout' });
    const { subscription } = await world.checkout(order('business'));
    expect(openPages()).toMatchObject([{ id: subscription.externalId, tier: 'business' }]);
  });

  it('T27: leaves no page to pay on beside the new one, though a process died before it ended it', async () => {
    await world.checkout(order('pro'));
    for (const tier of ['business', 'pro']) {
      await new Promise<void>((reached) => {
        const dying = world.process({ provider: { expireCheckout: () => new Promise(() => reached()) } });
        void dying.checkout(order(tier));
      });
      world.clock.advance(60_001);
    }
    const { subscription } = await world.checkout(order('business'));
    expect(openPages()).toMatchObject([{ id: subscription.externalId, tier: 'business' }]);
  });

  it('ends its page when its claim was lost while the provider was slow', async () => {
    const { openCheckout } = world.sandbox;
    const slow = world.process({
      provider: {
        openCheckout: async (request) => {
          const session = await openCheckout(request);
          world.clock.advance(60_001);
          return session;
        },
      },
    });
    await expect(slow.checkout(order('pro'))).rejects.toMatchObject({ code: 'checkout_in_progress' });
    expect(openPages()).toEqual([]);
  });

  it('lets an org leave a subscription that the provider does not know any more', async () => {
    const id = await world.subscribe('acme', 'pro');
    const other = await createWorld();
    const fresh = world.process({ provider: other.sandbox });
    expect((await fresh.checkout(order('free'))).subscription).toMatchObject({ externalId: 'default' });
    expect(await world.stored(id)).toMatchObject({ status: 'canceled', endedAt: expect.any(Number) });
    expect(fresh.logs).toContainEqual(
      expect.objectContaining({ level: 'error', facts: expect.objectContaining({ org: 'acme' }) }),
    );
    expect(fresh.dropped).toContain('acme');
    expect(fresh.changes).toMatchObject([
      { before: { id, status: 'active' }, after: { id, status: 'canceled' } },
    ]);
    await other.close();
  });

  it('is not disturbed by a listener that throws', async () => {
    const id = await world.subscribe('acme', 'pro');
    world.changes.push = () => {
      throw new Error('listener');
    };
    expect((await world.checkout(order('business'))).subscription).toMatchObject({
      externalId: id,
      tier: 'business',
    });
    expect(world.logs).toContainEqual(
      expect.objectContaining({
        level: 'error',
        facts: expect.objectContaining({
          org: 'acme',
          error: expect.objectContaining({ message: 'listener' }),
        }),
      }),
    );
  });
});
