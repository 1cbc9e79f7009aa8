import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Terms } from '../ports/payment-provider.ts';
import { createWorld, type World } from './subscription-world.test-support.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const checkout = (terms: Terms = {}, tier = 'pro') =>
  world.checkout({ org: 'acme', tier, actor: 'alice', ...terms });

async function bought(terms: Terms): Promise<string> {
  const { subscription } = await checkout(terms);
  return world.sandbox.confirm(subscription.externalId).subscriptionId ?? '';
}

describe('the terms of a checkout', () => {
  it('are what is bought: a year, and five seats', async () => {
    const id = await bought({ interval: 'year', quantity: 5 });
    await world.sync({ org: 'acme' });
    expect(await world.stored(id)).toMatchObject({ tier: 'pro', interval: 'year', quantity: 5 });
  });

  it('change a live subscription, one of them leaving the other as it is, and nothing when it is so already', async () => {
    const id = await bought({ quantity: 5 });
    expect((await checkout({ quantity: 2 })).subscription).toMatchObject({
      externalId: id,
      status: 'active',
    });
    expect(await world.stored(id)).toMatchObject({ interval: 'month', quantity: 2 });
    await checkout({ interval: 'year' });
    const { version, ...state } = (await world.stored(id)) ?? { version: 0 };
    expect(state).toMatchObject({ interval: 'year', quantity: 2 });
    const told = world.sandbox.events().length;
    await checkout();
    await checkout({ interval: 'year', quantity: 2 });
    expect(world.sandbox.events()).toHaveLength(told);
    expect((await world.stored(id))?.version).toBeGreaterThanOrEqual(version);
  });

  it('of an open page that is asked for again are kept; other ones end it and open another', async () => {
    const first = await checkout({ interval: 'year' });
    expect((await checkout()).location).toBe(first.location);
    expect((await checkout({ interval: 'year' })).location).toBe(first.location);
    const other = await checkout({ interval: 'month' });
    expect(other.location).not.toBe(first.location);
    expect(await world.sandbox.fetchCheckout({ sessionId: first.subscription.externalId })).toMatchObject({
      state: 'expired',
    });
    expect(await world.sandbox.fetchCheckout({ sessionId: other.subscription.externalId })).toMatchObject({
      interval: 'month',
    });
    expect((await checkout({ interval: 'month', quantity: 5 })).location).not.toBe(other.location);
  });

  it('may be of as many seats as a provider takes', async () => {
    expect((await checkout({ quantity: 999_999 })).subscription.status).toBe('pending');
  });

  it.each([
    [{ interval: 'week' }],
    [{ interval: null }],
    [{ quantity: 0 }],
    [{ quantity: -1 }],
    [{ quantity: 1.5 }],
    [{ quantity: Number.NaN }],
    [{ quantity: 1_000_000 }],
    [{ quantity: '2' }],
  ])('are refused when they are none: %j', async (terms) => {
    await expect(checkout(terms as Terms)).rejects.toMatchObject({ code: 'invalid_request', status: 400 });
    expect(world.sandbox.contents().sessions).toEqual([]);
  });
});

describe('W10: a sync of the events since an instant', () => {
  it('does what never arrived, and only that', async () => {
    const since = world.clock.now();
    const id = await world.subscribe('acme', 'pro');
    world.clock.advance(1_000);
    world.sandbox.setStatus(id, 'past_due');
    expect(await world.stored(id)).toMatchObject({ status: 'active' });
    const found = await world.sync({ eventsSince: since });
    expect(found).toMatchObject({ changed: 2, unknown: 0, failed: 0 });
    expect(await world.stored(id)).toMatchObject({ status: 'past_due' });
    expect(await world.sync({ eventsSince: since })).toMatchObject({ changed: 0 });
  });

  it('goes on after an event that failed, which the next one finds', async () => {
    const since = world.clock.now();
    const ids = [await bought({}), (await otherOrg()) ?? ''];
    const [first = ''] = ids;
    const failing = world.process({
      provider: {
        fetchSubscription: async (request) => {
          if (request.subscriptionId === first) throw new Error('away');
          return await world.sandbox.fetchSubscription(request);
        },
      },
    });
    const result = await failing.sync({ eventsSince: since });
    expect(result.failed).toBeGreaterThan(0);
    expect(await world.stored(ids[1] ?? '')).toMatchObject({ status: 'active' });
    expect(await world.stored(first)).toBeNull();
    expect(await world.sync({ eventsSince: since })).toMatchObject({ failed: 0 });
    expect(await world.stored(first)).toMatchObject({ status: 'active' });
  });

  it('stops asking a provider that goes away meanwhile, and finds what is left the next time', async () => {
    const since = world.clock.now();
    for (const letter of 'abcdefghijklmnopqrst') {
      const { subscription } = await world.checkout({ org: `org-${letter}`, tier: 'pro', actor: 'bob' });
      world.sandbox.confirm(subscription.externalId);
    }
    let asked = 0;
    const away = world.process({
      provider: {
        fetchSubscription: async () => {
          asked += 1;
          throw new TollgateError('provider_timeout');
        },
      },
    });
    const { failed } = await away.sync({ eventsSince: since });
    expect(failed).toBeGreaterThanOrEqual(20);
    expect(asked).toBeLessThan(20);
    expect(await world.sync({ eventsSince: since })).toMatchObject({ failed: 0 });
    expect(world.repository.contents().subscriptions.size).toBe(20);
  });

  it('leaves a provider that is too busy alone for a while, and goes on', async () => {
    const since = world.clock.now();
    for (const letter of 'abcdefghijklmnopqrst') {
      const { subscription } = await world.checkout({ org: `org-${letter}`, tier: 'pro', actor: 'bob' });
      world.sandbox.confirm(subscription.externalId);
    }
    const { fetchSubscription } = world.sandbox;
    let asked = 0;
    const busy = world.process({
      provider: {
        fetchSubscription: async (request) => {
          asked += 1;
          if (asked % 3 > 0) throw new TollgateError('provider_busy', { retryAfterSeconds: 1 });
          return await fetchSubscription(request);
        },
      },
    });
    expect(await busy.sync({ eventsSince: since })).toMatchObject({ failed: 0 });
    expect(world.repository.contents().subscriptions.size).toBe(20);
  });

  it('compares every customer where the provider keeps no record of its events', async () => {
    const id = await bought({});
    const without = world.process({ provider: { history: null } });
    expect(await without.sync({ eventsSince: world.clock.now() })).toMatchObject({ checked: 1, changed: 1 });
    expect(await world.stored(id)).toMatchObject({ status: 'active' });
  });

  async function otherOrg() {
    const { subscription } = await world.checkout({ org: 'globex', tier: 'business', actor: 'bob' });
    return world.sandbox.confirm(subscription.externalId).subscriptionId;
  }
});
