import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import { memoryBillingRepository } from '../memory/memory-billing-repository.ts';
import { createWorld, type World } from './subscription-world.test-support.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const order = (tier: string) => ({ org: 'acme', tier, actor: 'alice' });
const portal = { org: 'acme', returnUrl: 'https://app.example.com/billing' };
const customers = () => world.sandbox.contents().customers;
const openPages = () => world.sandbox.contents().sessions.filter(({ state }) => state === 'open');
const linked = async () =>
  (await world.repository.loadOrg('acme')).customers.map(({ customerId }) => customerId);
const deleteCustomer = async () => world.sandbox.deleteCustomer((await linked())[0] ?? '');

describe('a checkout of an org whose customer is gone', () => {
  it('opens a page for another customer, who pays for the org from then on', async () => {
    const id = await world.subscribe('acme', 'pro');
    await deleteCustomer();
    const { subscription } = await world.checkout(order('business'));
    expect(subscription.status).toBe('pending');
    expect(await linked()).toEqual([customers().find(({ isGone }) => isGone !== true)?.id]);
    expect(await world.stored(id)).toMatchObject({ status: 'canceled' });
    expect(world.dropped).toContain('acme');
    expect(world.logs).toContainEqual(
      expect.objectContaining({ level: 'error', facts: expect.objectContaining({ org: 'acme' }) }),
    );
    world.sandbox.confirm(subscription.externalId);
    expect((await world.checkout(order('business'))).subscription).toMatchObject({ status: 'active' });
  });

  it.each([true, false])('says that the org had a trial with the one that is gone: %s', async (hadTrial) => {
    const id = await world.subscribe('acme', 'pro');
    const stored = await world.stored(id);
    if (stored === null) throw new Error('nothing was stored');
    const { version, ...subscription } = stored;
    const trialEndsAt = hadTrial ? world.clock.now() : null;
    const trialed = { subscription: { ...subscription, trialEndsAt }, expectedVersion: version, audit: null };
    await deleteCustomer();
    const said: unknown[] = [];
    const { openCheckout, fetchSubscription, listSubscriptions } = world.sandbox;
    const told = <S extends object>(found: S) => ({ ...found, trialEndsAt });
    const process = world.process({
      provider: {
        openCheckout: (request) => {
          said.push(request.hadTrial);
          return openCheckout(request);
        },
        fetchSubscription: async (request) => {
          const found = await fetchSubscription(request);
          return found && told(found);
        },
        listSubscriptions: async (request) => (await listSubscriptions(request)).map(told),
      },
    });
    await world.repository.saveSubscription(trialed);
    await process.checkout(order('business'));
    expect(said.at(-1)).toBe(hadTrial);
  });

  it('T27: makes one other customer and one page, for fifty calls at once in two processes', async () => {
    await world.subscribe('acme', 'pro');
    await deleteCustomer();
    const other = world.process();
    const calls = Array.from({ length: 50 }, (_, index) => {
      const process = index % 2 === 0 ? world : other;
      return index % 5 === 0 ? process.portal(portal) : process.checkout(order('business'));
    });
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'checkout_in_progress' });
    }
    expect(customers()).toHaveLength(2);
    expect(openPages()).toMatchObject([{ customerId: (await linked())[0] }]);
  });

  it('sends nobody to the page that is still open for the old one', async () => {
    const first = await world.checkout(order('pro'));
    const { fetchCheckout, openCheckout } = world.sandbox;
    const [old = ''] = await linked();
    await deleteCustomer();
    const kept = world.process({
      provider: {
        fetchCheckout: async (request) => {
          const page = await fetchCheckout(request);
          const isOld = page?.id === first.subscription.externalId;
          return page && isOld ? { ...page, state: 'open' as const, url: first.location } : page;
        },
        openCheckout,
      },
    });
    const second = await kept.checkout(order('pro'));
    expect(second.subscription.externalId).not.toBe(first.subscription.externalId);
    expect(await linked()).not.toContain(old);
  });

  it('sends nobody to the page of a customer that another process has replaced', async () => {
    const first = await world.checkout(order('pro'));
    const [gone = ''] = await linked();
    const { customerId } = await world.sandbox.createCustomer({ org: 'acme', idempotencyKey: 'another' });
    const customer = { org: 'acme', provider: 'sandbox', customerId };
    await world.repository.replaceCustomer({ customer, gone });
    const second = await world.checkout(order('pro'));
    expect(second.location).not.toBe(first.location);
    expect(openPages()).toMatchObject([{ id: second.subscription.externalId, customerId }]);
  });

  it('does so again when the next one is gone as well', async () => {
    await world.checkout(order('pro'));
    for (let made = 2; made <= 4; made += 1) {
      await deleteCustomer();
      if (made === 3) await world.portal(portal);
      else expect((await world.checkout(order('pro'))).subscription.status).toBe('pending');
      expect(customers()).toHaveLength(made);
    }
    expect(openPages()).toHaveLength(1);
  });

  it.each(['pro', 'business'])(
    'sells nothing a second time where a restored backup knows only the one that is gone: on pro, %s is ordered',
    async (tier) => {
      await world.subscribe('acme', 'pro');
      const [gone = ''] = await linked();
      await deleteCustomer();
      const id = await world.subscribe('acme', 'pro');
      const restored = memoryBillingRepository({ clock: world.clock });
      await restored.linkCustomer({ org: 'acme', provider: 'sandbox', customerId: gone });
      const { subscription } = await world.process({ repository: restored }).checkout(order(tier));
      expect(subscription).toMatchObject({ externalId: id, tier, status: 'active' });
      expect(openPages()).toEqual([]);
      expect(await restored.findSubscription({ provider: 'sandbox', id })).toMatchObject({ tier });
    },
  );

  it('keeps the one that was made when it could not be linked at first', async () => {
    await world.checkout(order('pro'));
    await deleteCustomer();
    const away = world.process({
      repository: { replaceCustomer: () => Promise.reject(new TollgateError('repository_unavailable')) },
    });
    await expect(away.checkout(order('pro'))).rejects.toMatchObject({ code: 'repository_unavailable' });
    expect((await world.checkout(order('pro'))).subscription.status).toBe('pending');
    expect(customers()).toHaveLength(2);
  });

  it('does the events of the other one that came before it was linked', async () => {
    await world.checkout(order('pro'));
    await deleteCustomer();
    let id: string | null = null;
    const { replaceCustomer } = world.repository;
    const slow = world.process({
      repository: {
        replaceCustomer: async (request) => {
          const { customerId } = request.customer;
          const desk = { org: 'acme', customerId, tier: 'business', idempotencyKey: 'desk' };
          id = world.sandbox.confirm((await world.sandbox.openCheckout(desk)).id).subscriptionId;
          expect((await world.deliver(world.sandbox.events().at(-1)?.id ?? '')).outcome).toBe('unmatched');
          return await replaceCustomer(request);
        },
      },
    });
    await slow.portal(portal);
    expect(await world.stored(id ?? '')).toMatchObject({ org: 'acme', tier: 'business' });
  });

  it.each(['provider_error', 'provider_timeout', 'provider_busy'] as const)(
    'is refused as before while the provider cannot say whether it is gone: %s',
    async (code) => {
      await world.checkout(order('pro'));
      await deleteCustomer();
      const unsure = world.process({
        provider: { hasCustomer: () => Promise.reject(new TollgateError(code)) },
      });
      await expect(unsure.checkout(order('business'))).rejects.toMatchObject({ code: 'provider_error' });
      await expect(unsure.portal(portal)).rejects.toMatchObject({ code: 'provider_error' });
      expect(customers()).toHaveLength(1);
    },
  );

  it.each(['provider_timeout', 'provider_busy', 'unknown_tier'] as const)(
    'does not ask whether it is gone after another failure: %s',
    async (code) => {
      await world.checkout(order('pro'));
      await deleteCustomer();
      const slow = world.process({
        provider: { openCheckout: () => Promise.reject(new TollgateError(code)) },
      });
      await expect(slow.checkout(order('business'))).rejects.toMatchObject({ code });
      expect(customers()).toHaveLength(1);
    },
  );

  it('is refused once more when the provider refuses the other one as well', async () => {
    await world.checkout(order('pro'));
    await deleteCustomer();
    let asked = 0;
    const refusing = world.process({
      provider: {
        openCheckout: () => {
          asked += 1;
          return Promise.reject(new TollgateError('provider_error'));
        },
      },
    });
    await expect(refusing.checkout(order('business'))).rejects.toMatchObject({ code: 'provider_error' });
    expect(asked).toBe(2);
  });
});

describe('the portal of an org whose customer is gone', () => {
  it('is another customer’s, and what the old one had is stored as it ended', async () => {
    const id = await world.subscribe('acme', 'pro');
    await deleteCustomer();
    const { url } = await world.portal(portal);
    expect(new URL(url).origin).toBe(world.sandbox.origin);
    expect(customers()).toHaveLength(2);
    expect(await world.stored(id)).toMatchObject({ status: 'canceled', endedAt: world.clock.now() });
    expect(await world.sync({ org: 'acme' })).toMatchObject({ unknown: 0, failed: 0 });
  });
});

describe('an event of a customer that was replaced', () => {
  it('changes nothing: what it tells of was stored before', async () => {
    await world.subscribe('acme', 'pro');
    const told = world.sandbox.events().length;
    await deleteCustomer();
    await world.portal(portal);
    const before = await world.repository.loadOrg('acme');
    for (const { id } of world.sandbox.events().slice(told))
      expect(await world.deliver(id)).toMatchObject({ outcome: 'unmatched' });
    expect(await world.repository.loadOrg('acme')).toEqual(before);
  });
});
