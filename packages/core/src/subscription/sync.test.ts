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

const order = (org: string, tier = 'pro') => ({ org, tier, actor: 'alice' });

/** Paid, but no webhook ever came. */
async function untold(org: string): Promise<{ id: string; sessionId: string }> {
  const { subscription } = await world.checkout(order(org));
  const { subscriptionId } = world.sandbox.confirm(subscription.externalId);
  return { id: subscriptionId ?? '', sessionId: subscription.externalId };
}

describe('sync', () => {
  it('finds an org’s subscription that nobody told of', async () => {
    const { id } = await untold('acme');
    expect(await world.sync({ org: 'acme' })).toEqual({ checked: 1, changed: 1, unknown: 0, failed: 0 });
    expect(await world.stored(id)).toMatchObject({ org: 'acme', status: 'active' });
    expect(await world.sync({ org: 'acme' })).toEqual({ checked: 1, changed: 0, unknown: 0, failed: 0 });
    const changes = world.repository.contents().audit.filter(({ subject }) => subject === id);
    expect(changes).toMatchObject([{ action: 'subscription.changed', before: null }]);
  });

  it('brings one subscription up to date', async () => {
    const id = await world.subscribe('acme', 'pro');
    world.sandbox.setStatus(id, 'past_due');
    expect(await world.sync({ subscription: id })).toEqual({ checked: 1, changed: 1, unknown: 0, failed: 0 });
    expect(await world.stored(id)).toMatchObject({ status: 'past_due' });
    expect(await world.sync({ subscription: id })).toMatchObject({ checked: 1, changed: 0 });
    expect(await world.sync({ subscription: 'sub_none' })).toMatchObject({ checked: 1, unknown: 1 });
  });

  it('says of a live subscription that its price went from the table of prices: its org is on the default tier now', async () => {
    const id = await world.subscribe('acme', 'pro');
    const { fetchSubscription } = world.sandbox;
    const withoutPrice: typeof fetchSubscription = async (request) => {
      const fetched = await fetchSubscription(request);
      return fetched && { ...fetched, tier: null };
    };
    const anew = world.process({ provider: { fetchSubscription: withoutPrice } });
    for (const _ of [1, 2])
      expect(await anew.sync({ subscription: id })).toMatchObject({ checked: 1, failed: 0 });
    expect(await world.stored(id)).toMatchObject({ tier: null });
    expect(anew.logs).toMatchObject([
      {
        level: 'warn',
        message: expect.stringContaining('grants nothing'),
        facts: { org: 'acme', subscription: id },
      },
    ]);
  });

  it('says of a new subscription that its price is in no tier: its org pays, and is on the default tier', async () => {
    const { id } = await untold('acme');
    const { listSubscriptions } = world.sandbox;
    const withoutPrice: typeof listSubscriptions = async (request) =>
      (await listSubscriptions(request)).map((one) => ({ ...one, tier: null }));
    const old = world.process({ provider: { listSubscriptions: withoutPrice } });
    for (const _ of [1, 2]) await old.sync({ org: 'acme' });
    expect(old.logs).toMatchObject([
      {
        level: 'warn',
        message: expect.stringContaining('grants nothing'),
        facts: { org: 'acme', subscription: id },
      },
    ]);
  });

  it('says which customer is nobody’s, where a subscription cannot be synced for that', async () => {
    const { id } = await untold('acme');
    const { repository } = await createWorld();
    const elsewhere = world.process({ repository });
    expect(await elsewhere.sync({ subscription: id })).toMatchObject({ checked: 1, failed: 1 });
    const [customer] = world.sandbox.contents().customers;
    expect(elsewhere.logs).toMatchObject([
      { level: 'warn', facts: { subscription: id, customer: customer?.id } },
    ]);
  });

  it('says of an org with two live subscriptions that it pays for both', async () => {
    const first = await world.subscribe('acme', 'pro');
    const { listSubscriptions } = world.sandbox;
    const twice: typeof listSubscriptions = async (request) =>
      (await listSubscriptions(request)).flatMap((one) => [
        one,
        { ...one, id: 'sub_second' },
        { ...one, id: 'sub_support', tier: null },
        { ...one, id: 'sub_left', status: 'incomplete' },
      ]);
    const odd = world.process({ provider: { listSubscriptions: twice } });
    await odd.sync({ org: 'acme' });
    expect(odd.logs).toContainEqual({
      level: 'warn',
      message: expect.stringContaining('twice'),
      facts: { org: 'acme', provider: 'sandbox', subscriptions: [first, 'sub_second'] },
    });
  });

  it('takes in what came of a checkout page, on the customer’s return', async () => {
    const { id, sessionId } = await untold('acme');
    expect(await world.sync({ checkoutSession: sessionId })).toMatchObject({ changed: 1 });
    expect(await world.stored(id)).toMatchObject({ status: 'active' });
    expect([...world.repository.contents().checkouts.values()]).toMatchObject([
      { attempt: { state: 'closed' } },
    ]);
  });

  it('changes nothing for a page that still waits, or that nobody knows', async () => {
    const { subscription } = await world.checkout(order('acme'));
    expect(await world.sync({ checkoutSession: subscription.externalId })).toEqual({
      checked: 1,
      changed: 0,
      unknown: 0,
      failed: 0,
    });
    expect(await world.sync({ checkoutSession: 'cs_none' })).toMatchObject({ unknown: 1 });
    expect(await world.checkout(order('acme'))).toMatchObject({
      subscription: { externalId: subscription.externalId },
    });
  });

  it('has nothing to do for an org without a customer', async () => {
    expect(await world.sync({ org: 'nobody' })).toEqual({ checked: 0, changed: 0, unknown: 0, failed: 0 });
  });

  it('walks all orgs, more than a page of them', async () => {
    const orgs = Array.from(
      { length: 230 },
      (_, index) => `org-${String.fromCharCode(97 + Math.floor(index / 26), 97 + (index % 26))}`,
    );
    for (const org of orgs) await untold(org);
    expect(await world.sync('all')).toEqual({ checked: 230, changed: 230, unknown: 0, failed: 0 });
    expect(world.repository.contents().subscriptions.size).toBe(230);
  });

  it('goes on with the other orgs when one fails, and counts it', async () => {
    await untold('acme');
    const { id } = await untold('globex');
    const acme = world.sandbox.contents().customers.find(({ org }) => org === 'acme');
    const { listSubscriptions } = world.sandbox;
    const partly = world.process({
      provider: {
        listSubscriptions: async (request) => {
          if (request.customerId === acme?.id)
            throw new TollgateError('provider_timeout', { cause: new Error('socket hang up') });
          return await listSubscriptions(request);
        },
      },
    });
    expect(await partly.sync('all')).toEqual({ checked: 1, changed: 1, unknown: 0, failed: 1 });
    expect(await world.stored(id)).toMatchObject({ org: 'globex' });
    const cause = { message: 'socket hang up' };
    expect(partly.logs).toMatchObject([{ facts: { org: 'acme', code: 'provider_timeout', cause } }]);
  });

  /** Orgs that paid, so many, in the order in which a sync comes to them. */
  async function manyOrgs(number: number): Promise<readonly string[]> {
    for (let index = 0; index < number; index += 1)
      await untold(`org-${String.fromCharCode(97 + Math.floor(index / 26), 97 + (index % 26))}`);
    return world.sandbox
      .contents()
      .customers.map(({ id }) => id)
      .sort();
  }

  it('asks for several orgs side by side, and for no more than a few', async () => {
    await manyOrgs(30);
    const { listSubscriptions } = world.sandbox;
    let underWay = 0;
    let most = 0;
    const slow = world.process({
      provider: {
        listSubscriptions: async (request) => {
          underWay += 1;
          most = Math.max(most, underWay);
          await new Promise((resolve) => setImmediate(resolve));
          underWay -= 1;
          return await listSubscriptions(request);
        },
      },
    });
    expect(await slow.sync('all')).toEqual({ checked: 30, changed: 30, unknown: 0, failed: 0 });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
  });

  it.each(['timeout', 'busy', 'error'] as const)(
    'stops asking a provider that is away (%s), counts whom it did not look at, and looks at them the next time',
    async (outage) => {
      await manyOrgs(130);
      let asked = 0;
      const { listSubscriptions } = world.sandbox;
      const away = world.process({
        provider: {
          listSubscriptions: (request) => {
            asked += 1;
            return listSubscriptions(request);
          },
        },
      });
      world.sandbox.setOutage(outage);
      expect(await away.sync('all')).toEqual({ checked: 0, changed: 0, unknown: 0, failed: 130 });
      expect(asked).toBeLessThan(30);
      expect(away.logs.length).toBeLessThan(15);
      world.sandbox.setOutage(null);
      expect(await away.sync('all')).toEqual({ checked: 130, changed: 130, unknown: 0, failed: 0 });
    },
  );

  it('asks again, after a while, for an org that the provider was too busy for', async () => {
    await manyOrgs(20);
    const { listSubscriptions } = world.sandbox;
    const seen = new Set<string>();
    const busy = world.process({
      provider: {
        listSubscriptions: async (request) => {
          if (!seen.has(request.customerId)) {
            seen.add(request.customerId);
            throw new TollgateError('provider_busy', { retryAfterSeconds: 1 });
          }
          return await listSubscriptions(request);
        },
      },
    });
    expect(await busy.sync('all')).toEqual({ checked: 20, changed: 20, unknown: 0, failed: 0 });
  });

  it('skips nobody behind any number of customers whom the provider refuses for good', async () => {
    const refused = new Set((await manyOrgs(130)).slice(0, 120));
    const { listSubscriptions } = world.sandbox;
    const partly = world.process({
      provider: {
        listSubscriptions: async (request) => {
          if (refused.has(request.customerId)) throw new TollgateError('provider_error');
          return await listSubscriptions(request);
        },
      },
    });
    expect(await partly.sync('all')).toEqual({ checked: 10, changed: 10, unknown: 0, failed: 120 });
    expect(partly.logs.length).toBeLessThan(15);
  });

  it('goes on past customers who are refused or not answered as long as the provider answers what is nobody’s, which it is seldom asked', async () => {
    const customers = await manyOrgs(100);
    let [asked, probed] = [0, 0];
    const partly = world.process({
      provider: {
        listSubscriptions: async ({ customerId }) => {
          asked += 1;
          const isLate = customers.indexOf(customerId) % 3 === 0;
          throw new TollgateError(isLate ? 'provider_timeout' : 'provider_error');
        },
        fetchSubscription: async () => {
          probed += 1;
          if (asked > 60) throw new TollgateError('provider_error');
          return null;
        },
      },
    });
    expect(await partly.sync('all')).toMatchObject({ failed: 100 });
    expect(asked).toBeGreaterThan(60);
    expect(asked).toBeLessThan(80);
    expect(probed).toBeLessThan(6);
  });

  it('fails where the customers cannot be listed', async () => {
    const listCustomers = () => Promise.reject(new TollgateError('repository_unavailable'));
    const away = world.process({ repository: { listCustomers } });
    await expect(away.sync('all')).rejects.toMatchObject({ code: 'repository_unavailable' });
  });

  it('stops asking where the repository is away', async () => {
    await manyOrgs(40);
    let asked = 0;
    const away = world.process({
      repository: {
        loadOrg: async () => {
          asked += 1;
          throw new TollgateError('repository_unavailable');
        },
      },
    });
    expect(await away.sync('all')).toMatchObject({ failed: 40 });
    expect(asked).toBeLessThan(20);
  });

  it('leaves a stored subscription that the provider does not know as it is, and says so', async () => {
    const id = await world.subscribe('acme', 'pro');
    const other = await createWorld();
    const lost = world.process({ provider: other.sandbox });
    expect(await lost.sync({ org: 'acme' })).toEqual({ checked: 1, changed: 0, unknown: 1, failed: 0 });
    expect(await world.stored(id)).toMatchObject({ status: 'active' });
    expect(lost.logs).toContainEqual(
      expect.objectContaining({ level: 'warn', facts: expect.objectContaining({ org: 'acme' }) }),
    );
    await other.close();
  });

  it('leaves what an org has at another provider alone, as a checkout does', async () => {
    const id = await world.subscribe('acme', 'pro');
    const stored = await world.stored(id);
    if (stored === null) throw new Error('not stored');
    const { version: _, ...bought } = stored;
    const elsewhere = { ...bought, provider: 'former', id: 'sub_elsewhere', customerId: 'cus_elsewhere' };
    await world.repository.linkCustomer({ org: 'acme', provider: 'former', customerId: 'cus_elsewhere' });
    await world.repository.linkCustomer({ org: 'globex', provider: 'former', customerId: 'cus_globex' });
    await world.repository.saveSubscription({ subscription: elsewhere, expectedVersion: null, audit: null });
    for (const sync of [{ org: 'acme' }, 'all'] as const)
      expect(await world.sync(sync)).toEqual({ checked: 1, changed: 0, unknown: 0, failed: 0 });
    expect(await world.sync({ org: 'globex' })).toMatchObject({ checked: 0, failed: 0 });
    expect(await world.checkout(order('acme', 'business'))).toMatchObject({
      subscription: { externalId: id },
    });
    expect(await world.checkout(order('globex'))).toMatchObject({ location: expect.any(String) });
    const { customers } = await world.repository.loadOrg('globex');
    expect(customers.map(({ provider }) => provider)).toEqual(['former', 'sandbox']);
    expect(world.logs.filter(({ level }) => level === 'error')).toEqual([]);
    expect(
      await world.repository.findSubscription({ provider: 'former', id: 'sub_elsewhere' }),
    ).toMatchObject({
      status: 'active',
      endedAt: null,
    });
  });

  it('F28: stores nothing of another subscription than the one it asked for', async () => {
    const { id } = await untold('acme');
    const mistaken = world.process({
      provider: { fetchSubscription: () => world.sandbox.fetchSubscription({ subscriptionId: id }) },
    });
    expect(await mistaken.sync({ subscription: 'sub_asked' })).toMatchObject({ changed: 0, failed: 1 });
    expect(world.repository.contents().subscriptions.size).toBe(0);
  });

  it('does not ask for a stored subscription that has ended', async () => {
    const id = await world.subscribe('acme', 'pro');
    world.sandbox.setStatus(id, 'canceled');
    await world.sync({ org: 'acme' });
    const other = await createWorld();
    const lost = world.process({ provider: other.sandbox });
    expect(await lost.sync({ org: 'acme' })).toEqual({ checked: 0, changed: 0, unknown: 0, failed: 0 });
    await other.close();
  });

  it('writes an ended subscription no more', async () => {
    const id = await world.subscribe('acme', 'pro');
    world.sandbox.setStatus(id, 'canceled');
    await world.sync({ org: 'acme' });
    const before = await world.stored(id);
    expect(await world.sync({ org: 'acme' })).toMatchObject({ checked: 0 });
    expect(await world.stored(id)).toEqual(before);
  });

  it('fails with the provider’s error for one org', async () => {
    await untold('acme');
    world.sandbox.setOutage('timeout');
    await expect(world.sync({ org: 'acme' })).rejects.toMatchObject({ code: 'provider_timeout' });
  });

  it('says so when nothing is sold here', async () => {
    const none = world.process({ provider: null });
    await expect(none.sync('all')).rejects.toMatchObject({ code: 'provider_not_configured' });
  });
});
