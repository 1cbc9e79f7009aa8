import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import { createWorld, type World } from './subscription-world.test-support.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const linked = async (org: string) =>
  (await world.repository.loadOrg(org)).customers.map(({ customerId }) => customerId);

/** A customer that was made at the provider, not by a checkout. */
async function customerMade(name: string): Promise<string> {
  const { customerId } = await world.sandbox.createCustomer({ org: name, idempotencyKey: name });
  return customerId;
}

/** One with a subscription, of which nothing is stored here. Its events are not delivered. */
async function subscriberMade(name: string, tier = 'pro'): Promise<{ customerId: string; id: string }> {
  const customerId = await customerMade(name);
  const order = { org: name, customerId, tier, idempotencyKey: `checkout-${name}` };
  const { subscriptionId } = world.sandbox.confirm((await world.sandbox.openCheckout(order)).id);
  return { customerId, id: subscriptionId ?? '' };
}

describe('linkCustomer', () => {
  it('stores what the customer has subscribed to', async () => {
    const { customerId, id } = await subscriberMade('legacy');
    expect(await world.linkCustomer({ org: 'acme', customerId })).toEqual({
      checked: 1,
      changed: 1,
      unknown: 0,
      failed: 0,
    });
    expect(await linked('acme')).toEqual([customerId]);
    expect(await world.stored(id)).toMatchObject({ org: 'acme', customerId, tier: 'pro', status: 'active' });
    expect(world.dropped).toContain('acme');
    expect(world.changes).toMatchObject([{ before: null, after: { id } }]);
  });

  it('finds later events of the customer their org', async () => {
    const { customerId, id } = await subscriberMade('legacy');
    await world.linkCustomer({ org: 'acme', customerId });
    world.sandbox.setStatus(id, 'past_due');
    expect((await world.deliver(world.sandbox.events().at(-1)?.id ?? '')).outcome).toBe('applied');
    expect(await world.stored(id)).toMatchObject({ status: 'past_due' });
  });

  it('does the events that have waited for the customer', async () => {
    const { customerId, id } = await subscriberMade('legacy');
    for (const event of world.sandbox.events()) await world.deliver(event.id);
    const waiting = () => world.repository.listUnmatched({ provider: 'sandbox', customerId });
    expect(await waiting()).not.toEqual([]);
    // Nothing is listed: what is stored comes from the events alone.
    const process = world.process({ provider: { listSubscriptions: async () => [] } });
    await process.linkCustomer({ org: 'acme', customerId });
    expect(await waiting()).toEqual([]);
    expect(await world.stored(id)).toMatchObject({ org: 'acme', status: 'active' });
  });

  it('lets a checkout change what the customer has, instead of selling it a second time', async () => {
    const { customerId, id } = await subscriberMade('legacy');
    await world.linkCustomer({ org: 'acme', customerId });
    const { subscription } = await world.checkout({ org: 'acme', tier: 'business', actor: 'alice' });
    expect(subscription).toMatchObject({ externalId: id, tier: 'business', status: 'active' });
    expect(world.sandbox.contents().customers).toHaveLength(1);
  });

  it('links a customer that has bought nothing yet, for its first checkout', async () => {
    const customerId = await customerMade('legacy');
    expect(await world.linkCustomer({ org: 'acme', customerId })).toMatchObject({ checked: 0, changed: 0 });
    await world.checkout({ org: 'acme', tier: 'pro', actor: 'alice' });
    expect(world.sandbox.contents().sessions).toMatchObject([{ customerId }]);
  });

  it('may be called again', async () => {
    const { customerId } = await subscriberMade('legacy');
    await world.linkCustomer({ org: 'acme', customerId });
    expect(await world.linkCustomer({ org: 'acme', customerId })).toMatchObject({ checked: 1, changed: 0 });
    expect(await linked('acme')).toEqual([customerId]);
  });

  it('called again after a failure, does what is left', async () => {
    const { customerId, id } = await subscriberMade('legacy');
    for (const event of world.sandbox.events()) await world.deliver(event.id);
    const away = async () => {
      throw new TollgateError('provider_timeout');
    };
    const failing = world.process({ provider: { listSubscriptions: away, fetchSubscription: away } });
    await expect(failing.linkCustomer({ org: 'acme', customerId })).rejects.toMatchObject({
      code: 'provider_timeout',
    });
    expect(await world.stored(id)).toBeNull();
    await world.linkCustomer({ org: 'acme', customerId });
    expect(await world.stored(id)).toMatchObject({ org: 'acme' });
    const waiting = await world.repository.listUnmatched({ provider: 'sandbox', customerId });
    expect(waiting).toEqual([]);
  });

  it('takes no customer away from another org', async () => {
    await world.subscribe('globex', 'pro');
    const [customerId = ''] = await linked('globex');
    await expect(world.linkCustomer({ org: 'acme', customerId })).rejects.toMatchObject({
      code: 'customer_conflict',
    });
    expect(await linked('acme')).toEqual([]);
    expect(await linked('globex')).toEqual([customerId]);
  });

  it('keeps the customer that an org has, as long as the provider has it', async () => {
    const stored = await world.subscribe('acme', 'pro');
    const [before = ''] = await linked('acme');
    const { customerId, id } = await subscriberMade('legacy');
    await expect(world.linkCustomer({ org: 'acme', customerId })).rejects.toMatchObject({
      code: 'customer_conflict',
    });
    expect(await linked('acme')).toEqual([before]);
    expect(await world.stored(id)).toBeNull();

    world.sandbox.deleteCustomer(before);
    await world.linkCustomer({ org: 'acme', customerId });
    expect(await linked('acme')).toEqual([customerId]);
    expect(await world.stored(stored)).toMatchObject({ status: 'canceled' });
    expect(await world.stored(id)).toMatchObject({ org: 'acme', status: 'active' });
  });

  it('of two customers at once links one', async () => {
    const customers = [await customerMade('one'), await customerMade('two')];
    const other = world.process();
    const links = await Promise.allSettled([
      world.linkCustomer({ org: 'acme', customerId: customers[0] ?? '' }),
      other.linkCustomer({ org: 'acme', customerId: customers[1] ?? '' }),
    ]);
    expect(links.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(links.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'customer_conflict' },
    });
    expect(await linked('acme')).toEqual([customers[links[0]?.status === 'fulfilled' ? 0 : 1]]);
  });

  it('for two orgs at once, links the customer to one of them', async () => {
    const { customerId, id } = await subscriberMade('legacy');
    const links = await Promise.allSettled(
      ['acme', 'globex'].map((org) => world.linkCustomer({ org, customerId })),
    );
    expect(links).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'customer_conflict' } },
    ]);
    expect(await linked('globex')).toEqual([]);
    expect(await world.stored(id)).toMatchObject({ org: 'acme' });
  });

  it('links nothing that the provider does not have', async () => {
    const customerId = await customerMade('legacy');
    world.sandbox.deleteCustomer(customerId);
    await expect(world.linkCustomer({ org: 'acme', customerId })).rejects.toMatchObject({
      code: 'not_found',
    });
    const away = world.process({
      provider: { hasCustomer: () => Promise.reject(new TollgateError('provider_timeout')) },
    });
    await expect(away.linkCustomer({ org: 'acme', customerId })).rejects.toMatchObject({
      code: 'provider_timeout',
    });
    expect(await linked('acme')).toEqual([]);
  });

  it('needs an org, an id and a provider', async () => {
    const customerId = await customerMade('legacy');
    const bad = [
      { org: 'ACME!', customerId, code: 'invalid_org_id' },
      { org: 'acme', customerId: '', code: 'invalid_request' },
      { org: 'acme', customerId, replaces: '', code: 'invalid_request' },
    ];
    for (const { code, ...request } of bad)
      await expect(world.linkCustomer(request)).rejects.toMatchObject({ code });
    const none = world.process({ provider: null });
    await expect(none.linkCustomer({ org: 'acme', customerId })).rejects.toMatchObject({
      code: 'provider_not_configured',
    });
    expect(await linked('acme')).toEqual([]);
  });
});

describe('linkCustomer with `replaces`', () => {
  /** Links acme with a customer whose subscription has ended since, which no event has told. */
  async function wrongLink(): Promise<{ customerId: string; id: string }> {
    const wrong = await subscriberMade('wrong');
    await world.linkCustomer({ org: 'acme', customerId: wrong.customerId });
    world.sandbox.setStatus(wrong.id, 'canceled');
    return wrong;
  }

  it('puts the customer in place of the one it names, and stores last what that one had', async () => {
    const wrong = await wrongLink();
    const { customerId, id } = await subscriberMade('right', 'business');
    const result = await world.linkCustomer({ org: 'acme', customerId, replaces: wrong.customerId });
    expect(result).toMatchObject({ checked: 1, changed: 1 });
    expect(await linked('acme')).toEqual([customerId]);
    expect(await world.stored(wrong.id)).toMatchObject({ status: 'canceled', endedAt: world.clock.now() });
    expect(await world.stored(id)).toMatchObject({ org: 'acme', tier: 'business', status: 'active' });
    const kept = world.sandbox.contents().customers.find((customer) => customer.id === wrong.customerId);
    expect(kept?.isGone).not.toBe(true);
  });

  it('does the events that have waited for the new customer', async () => {
    const wrong = await wrongLink();
    const { customerId, id } = await subscriberMade('right');
    for (const event of world.sandbox.events()) await world.deliver(event.id);
    const process = world.process({
      provider: {
        listSubscriptions: async (request) =>
          request.customerId === customerId ? [] : await world.sandbox.listSubscriptions(request),
      },
    });
    await process.linkCustomer({ org: 'acme', customerId, replaces: wrong.customerId });
    expect(await world.stored(id)).toMatchObject({ org: 'acme', status: 'active' });
  });

  it('frees the old customer for another org', async () => {
    const wrong = await wrongLink();
    const customerId = await customerMade('right');
    await world.linkCustomer({ org: 'acme', customerId, replaces: wrong.customerId });
    await world.linkCustomer({ org: 'globex', customerId: wrong.customerId });
    await world.subscribe('globex', 'pro');
    expect((await world.repository.loadOrg('globex')).subscriptions).toMatchObject([
      { customerId: wrong.customerId, status: 'active' },
    ]);
  });

  it.each(['active', 'past_due', 'paused'])(
    'refuses while the old customer has a subscription that is %s, also one not stored here',
    async (status) => {
      const wrong = await customerMade('wrong');
      await world.linkCustomer({ org: 'acme', customerId: wrong });
      const { id } = await subscriberMade('wrong');
      world.sandbox.setStatus(id, status);
      const customerId = await customerMade('right');
      const request = { org: 'acme', customerId, replaces: wrong };
      await expect(world.linkCustomer(request)).rejects.toMatchObject({ code: 'customer_conflict' });
      expect(await linked('acme')).toEqual([wrong]);

      world.sandbox.setStatus(id, 'canceled');
      await world.linkCustomer(request);
      expect(await linked('acme')).toEqual([customerId]);
      const { subscriptions } = await world.repository.loadOrg('acme');
      expect(subscriptions.map((subscription) => subscription.status)).toEqual(['canceled']);
    },
  );

  it('refuses if the org has another customer than it names, even one that is gone', async () => {
    const other = await customerMade('other');
    const wrong = await wrongLink();
    const customerId = await customerMade('right');
    const request = { org: 'acme', customerId, replaces: other };
    await expect(world.linkCustomer(request)).rejects.toMatchObject({ code: 'customer_conflict' });
    world.sandbox.deleteCustomer(wrong.customerId);
    await expect(world.linkCustomer(request)).rejects.toMatchObject({ code: 'customer_conflict' });
    expect(await linked('acme')).toEqual([wrong.customerId]);

    await world.linkCustomer({ ...request, replaces: wrong.customerId });
    expect(await linked('acme')).toEqual([customerId]);
  });

  it('takes no customer away from another org', async () => {
    const wrong = await wrongLink();
    const customerId = await customerMade('theirs');
    await world.linkCustomer({ org: 'globex', customerId });
    await expect(
      world.linkCustomer({ org: 'acme', customerId, replaces: wrong.customerId }),
    ).rejects.toMatchObject({ code: 'customer_conflict' });
    expect(await linked('acme')).toEqual([wrong.customerId]);
  });

  it('links as usual an org that has no customer', async () => {
    const { customerId, id } = await subscriberMade('right');
    await world.linkCustomer({ org: 'acme', customerId, replaces: await customerMade('wrong') });
    expect(await linked('acme')).toEqual([customerId]);
    expect(await world.stored(id)).toMatchObject({ org: 'acme' });
  });

  it('called again after a failure, does what is left', async () => {
    const wrong = await wrongLink();
    const { customerId, id } = await subscriberMade('right');
    const request = { org: 'acme', customerId, replaces: wrong.customerId };
    const failing = world.process({
      provider: {
        listSubscriptions: async (asked) => {
          if (asked.customerId === customerId) throw new TollgateError('provider_timeout');
          return await world.sandbox.listSubscriptions(asked);
        },
      },
    });
    await expect(failing.linkCustomer(request)).rejects.toMatchObject({ code: 'provider_timeout' });
    expect(await linked('acme')).toEqual([customerId]);
    await world.linkCustomer(request);
    expect(await world.stored(id)).toMatchObject({ org: 'acme', status: 'active' });
  });

  it('of two customers at once puts one in its place', async () => {
    const wrong = await wrongLink();
    const customers = [await customerMade('one'), await customerMade('two')];
    const processes = [world, world.process()];
    const links = await Promise.allSettled(
      customers.map((customerId, at) =>
        processes[at]?.linkCustomer({ org: 'acme', customerId, replaces: wrong.customerId }),
      ),
    );
    expect(links.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(links.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'customer_conflict' },
    });
    expect(await linked('acme')).toEqual([customers[links[0]?.status === 'fulfilled' ? 0 : 1]]);
  });

  describe('where somebody pays on a page of the old customer after the last look at it', () => {
    /** Links acme with another customer. Just before the old one gives way, it buys, and the events of that are applied. */
    async function boughtMeanwhile(): Promise<string> {
      const wrong = await customerMade('wrong');
      await world.linkCustomer({ org: 'acme', customerId: wrong });
      const { subscription } = await world.checkout({ org: 'acme', tier: 'pro', actor: 'alice' });
      let bought = '';
      const process = world.process({
        repository: {
          replaceCustomer: async (request) => {
            bought = world.sandbox.confirm(subscription.externalId).subscriptionId ?? '';
            for (const { id } of world.sandbox.events()) await world.deliver(id);
            return await world.repository.replaceCustomer(request);
          },
        },
      });
      const customerId = await customerMade('right');
      await process.linkCustomer({ org: 'acme', customerId, replaces: wrong });
      expect(await linked('acme')).toEqual([customerId]);
      expect(await world.stored(bought)).toMatchObject({ org: 'acme', status: 'active' });
      return bought;
    }

    it('a sync stores the end of what was bought', async () => {
      const bought = await boughtMeanwhile();
      world.sandbox.setStatus(bought, 'canceled');
      expect(await world.sync({ org: 'acme' })).toMatchObject({ checked: 1, changed: 1 });
      expect(await world.stored(bought)).toMatchObject({ status: 'canceled' });
    });

    it('a checkout changes it, and sells no second one', async () => {
      const bought = await boughtMeanwhile();
      const { subscription } = await world.checkout({ org: 'acme', tier: 'business', actor: 'alice' });
      expect(subscription).toMatchObject({ externalId: bought, tier: 'business', status: 'active' });
      expect(await world.stored(bought)).toMatchObject({ tier: 'business' });
    });
  });
});
