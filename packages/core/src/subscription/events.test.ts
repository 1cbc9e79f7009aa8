import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { BillingRepository } from '../ports/billing-repository.ts';
import { createWorld, type Process, type World } from './subscription-world.test-support.ts';

const LEASE_MS = 60_000;

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

/** Checkout and payment, with nothing delivered yet. Answers the subscription's id and a way to find events. */
async function bought(org = 'acme', tier = 'pro') {
  const { subscription } = await world.checkout({ org, tier, actor: 'alice' });
  const { subscriptionId } = world.sandbox.confirm(subscription.externalId);
  return subscriptionId ?? '';
}

function lastEvent(type: string): string {
  const event = world.sandbox.events().findLast((candidate) => candidate.type === type);
  if (event === undefined) throw new Error(`no ${type}`);
  return event.id;
}

const post = (to: Process, body: unknown) => {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const headers = world.sandbox.sign(bytes);
  return to.webhook({ provider: 'sandbox', bytes, header: (name) => headers[name] });
};
const made = (id: string, type: string, data: object) => ({
  id,
  type,
  created: world.clock.now(),
  livemode: false,
  data,
});

describe('a webhook', () => {
  it('stores the subscription it tells of, and drops the org’s view', async () => {
    const id = await bought();
    const result = await world.deliver(lastEvent('subscription.created'));
    expect(result).toMatchObject({
      provider: 'sandbox',
      outcome: 'applied',
      events: [{ kind: 'subscription_created' }],
    });
    expect(await world.stored(id)).toMatchObject({ org: 'acme', tier: 'pro', status: 'active' });
    expect(world.dropped).toContain('acme');
    expect(world.changes).toMatchObject([{ before: null, after: { id, tier: 'pro' } }]);
  });

  it('T4: is a duplicate the second time, with no second effect', async () => {
    const id = await bought();
    await world.deliver(lastEvent('subscription.created'));
    const { version } = (await world.stored(id)) ?? {};
    expect((await world.deliver(lastEvent('subscription.created'))).outcome).toBe('duplicate');
    expect((await world.stored(id))?.version).toBe(version);
    expect(world.changes).toHaveLength(1);
  });

  it('W2: is one of its own in either mode, though they have the same id', async () => {
    await bought();
    const event = lastEvent('subscription.created');
    const { readWebhook } = world.sandbox;
    const live = world.process({
      provider: {
        readWebhook: async (request) =>
          (await readWebhook(request)).map((read) => ({ ...read, livemode: true })),
      },
    });
    for (const process of [live, world]) {
      expect((await process.deliver(event)).outcome).toBe('applied');
      expect((await process.deliver(event)).outcome).toBe('duplicate');
    }
    expect(world.repository.contents().inbox.size).toBe(2);
  });

  it('is a hint only: the provider’s present state is stored, not the event’s', async () => {
    const id = await bought();
    world.sandbox.setStatus(id, 'past_due');
    await world.deliver(lastEvent('subscription.created'));
    expect(await world.stored(id)).toMatchObject({ status: 'past_due', pastDueAt: world.clock.now() });
    const [customer] = world.sandbox.contents().customers;
    const data = { customer: customer?.id, subscription: id, status: 'canceled' };
    expect((await post(world, made('evt_1', 'subscription.canceled', data))).outcome).toBe('applied');
    expect(await world.stored(id)).toMatchObject({ status: 'past_due', endedAt: null });
  });

  it('does not move the past-due moment when payment fails again', async () => {
    const id = await bought();
    world.sandbox.setStatus(id, 'past_due');
    await world.deliver(lastEvent('invoice.failed'));
    const since = world.clock.now();
    world.clock.advance(86_400_000);
    await world.deliver(lastEvent('subscription.updated'));
    expect(await world.stored(id)).toMatchObject({ pastDueAt: since });
  });

  it('closes the checkout whose page was paid', async () => {
    await bought();
    await world.deliver(lastEvent('checkout.completed'));
    expect([...world.repository.contents().checkouts.values()]).toMatchObject([
      { attempt: { state: 'closed' } },
    ]);
  });

  it('closes the checkout whose page ran out', async () => {
    const { subscription } = await world.checkout({ org: 'acme', tier: 'pro', actor: 'alice' });
    world.sandbox.decline(subscription.externalId);
    expect((await world.deliver(lastEvent('checkout.expired'))).outcome).toBe('applied');
    expect([...world.repository.contents().checkouts.values()]).toMatchObject([
      { attempt: { state: 'closed' } },
    ]);
  });

  it('W5: acts on its own subscription only', async () => {
    const first = await bought();
    await world.deliver(lastEvent('subscription.created'));
    const [customer] = world.sandbox.contents().customers;
    const desk = { org: 'acme', customerId: customer?.id ?? '', tier: 'business', idempotencyKey: 'desk' };
    const second = world.sandbox.confirm((await world.sandbox.openCheckout(desk)).id).subscriptionId ?? '';
    await world.deliver(lastEvent('subscription.created'));
    world.sandbox.setStatus(first, 'canceled');
    await world.deliver(lastEvent('subscription.canceled'));
    expect(await world.stored(first)).toMatchObject({ status: 'canceled' });
    expect(await world.stored(second)).toMatchObject({ status: 'active', tier: 'business' });
  });

  it('W4: leaves an ended subscription ended even if the provider later shows it live', async () => {
    const id = await bought();
    world.sandbox.setStatus(id, 'canceled');
    await world.deliver(lastEvent('subscription.canceled'));
    const { fetchSubscription } = world.sandbox;
    const odd = world.process({
      provider: {
        fetchSubscription: async (request) => {
          const subscription = await fetchSubscription(request);
          return subscription && { ...subscription, status: 'active', endedAt: null };
        },
      },
    });
    expect((await odd.deliver(lastEvent('invoice.paid'))).outcome).toBe('applied');
    expect(await world.stored(id)).toMatchObject({ status: 'canceled' });
    expect(odd.logs).toContainEqual(
      expect.objectContaining({ level: 'warn', facts: expect.objectContaining({ org: 'acme' }) }),
    );
  });
});

describe('a delivery of several events', () => {
  it('comes to the most that happened to any of them', async () => {
    await bought();
    const { bytes, headers } = world.sandbox.signed(lastEvent('subscription.created'));
    const [event] = await world.sandbox.readWebhook({
      bytes,
      header: (name) => headers[name],
      now: world.clock.now(),
    });
    if (event === undefined) throw new Error('no event');
    const foreign = { ...event, id: 'foreign', customerId: 'cus_nobody' };
    const other = { ...event, id: 'other', kind: 'other' as const, checkoutSessionId: null };
    const outcomeOf = async (...events: (typeof event)[]) => {
      const process = world.process({ provider: { readWebhook: async () => events } });
      return (await process.webhook({ provider: 'sandbox', bytes, header: () => undefined })).outcome;
    };
    expect(await outcomeOf(foreign, { ...other, id: 'o1' })).toBe('unmatched');
    expect(await outcomeOf({ ...foreign, id: 'f2' }, event, { ...other, id: 'o2' })).toBe('applied');
    expect(await outcomeOf(event, other)).toBe('ignored');
    expect(await outcomeOf(event, other)).toBe('duplicate');
    expect(await outcomeOf()).toBe('ignored');
  });
});

describe('the inbox', () => {
  it('forgets what was done 45 days ago, asking at once and then once an hour, and tries again where that failed', async () => {
    await world.subscribe('acme', 'pro');
    const { purgeEvents } = world.repository;
    let asked = 0;
    const busy = world.process({
      repository: {
        purgeEvents: async (request) => {
          asked += 1;
          if (asked === 2) throw new Error('away');
          return await purgeEvents(request);
        },
      },
    });
    const held = () => world.repository.contents().inbox.size;
    const old = held();
    const askedAfter = async (ms: number) => {
      world.clock.advance(ms);
      await post(busy, made(`evt_${asked}_${ms}`, 'something.else', {}));
      await new Promise(setImmediate);
      return asked;
    };
    expect(await askedAfter(0)).toBe(1);
    expect(await askedAfter(3_599_999)).toBe(1);
    expect(await askedAfter(1)).toBe(2);
    expect(await askedAfter(40 * 86_400_000)).toBe(3);
    expect(await askedAfter(60_000)).toBe(3);
    expect(held()).toBe(old + 5);
    expect(await askedAfter(5 * 86_400_000), 'until none is left').toBe(5);
    expect(held()).toBe(3);
  });
});

describe('what a webhook does not do', () => {
  it('W1, F30: touches nothing before the signature is verified, and counts what it refused', async () => {
    await bought();
    const { bytes, headers } = world.sandbox.signed(lastEvent('subscription.created'));
    const calls: string[] = [];
    const spied = world.process({ repository: spyOnAll(world.repository, calls) });
    const header = (name: string) =>
      name === 'sandbox-signature' ? headers[name]?.replace(/.$/, 'x') : headers[name];
    const refused = spied.webhook({ provider: 'sandbox', bytes, header });
    await expect(refused).rejects.toMatchObject({ code: 'invalid_signature', status: 400 });
    await expect(post(spied, [])).rejects.toMatchObject({ code: 'invalid_event', status: 400 });
    expect(calls).toEqual([]);
    expect(spied.counted).toEqual([{ code: 'invalid_signature' }, { code: 'invalid_event' }]);
  });

  it('F30: says now and again that signatures are refused, since a wrong secret or clock keeps out what customers paid for', async () => {
    await bought();
    const { bytes, headers } = world.sandbox.signed(lastEvent('subscription.created'));
    const header = (name: string) =>
      name === 'sandbox-signature' ? headers[name]?.replace(/.$/, 'x') : headers[name];
    let now = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    const refused = async () => {
      for (let times = 0; times < 5; times += 1)
        await world.webhook({ provider: 'sandbox', bytes, header }).catch(() => undefined);
    };
    await refused();
    now += 10_000;
    await refused();
    const facts = { provider: 'sandbox', code: 'invalid_signature' };
    expect(world.logs).toEqual([
      { level: 'warn', message: expect.stringMatching(/secret.*clock/), facts: { ...facts, failures: 1 } },
      { level: 'warn', message: expect.any(String), facts: { ...facts, failures: 5 } },
    ]);
  });

  it.each(['stripe', '__proto__', 'constructor', 'SANDBOX', ''])(
    'T12: knows no provider %j',
    async (provider) => {
      const request = { provider, bytes: new Uint8Array(), header: () => undefined };
      await expect(world.webhook(request)).rejects.toMatchObject({ code: 'unknown_provider', status: 404 });
    },
  );

  it('knows no provider when nothing is sold here', async () => {
    await bought();
    const none = world.process({ provider: null });
    await expect(none.deliver(lastEvent('subscription.created'))).rejects.toMatchObject({
      code: 'unknown_provider',
    });
  });

  it('W7: answers ignored to a type it does not know, and a repeat is a duplicate', async () => {
    await bought();
    const [customer] = world.sandbox.contents().customers;
    const event = made('evt_odd', 'customer.renamed', { customer: customer?.id });
    expect((await post(world, event)).outcome).toBe('ignored');
    expect((await post(world, event)).outcome).toBe('duplicate');
    expect(world.counted).toEqual([
      { outcome: 'ignored', kind: 'other' },
      { outcome: 'duplicate', kind: 'other' },
    ]);
  });

  it('T10: does nothing for an event of the other mode, and counts it', async () => {
    const event = { ...made('evt_live', 'subscription.created', {}), livemode: true };
    expect(await post(world, event)).toEqual({ provider: 'sandbox', events: [], outcome: 'ignored' });
    expect(world.repository.contents().inbox.size).toBe(0);
    expect(world.counted).toEqual([{ outcome: 'ignored', kind: 'other' }]);
  });

  it('W7: ignores an event about a subscription the provider does not know', async () => {
    await bought();
    const [customer] = world.sandbox.contents().customers;
    const data = { customer: customer?.id, subscription: 'sub_none' };
    expect((await post(world, made('evt_1', 'subscription.updated', data))).outcome).toBe('ignored');
    expect(world.repository.contents().subscriptions.size).toBe(0);
    expect(world.logs).toMatchObject([{ level: 'warn', facts: { org: 'acme', subscription: 'sub_none' } }]);
  });

  it('F28: waits for the redelivery where the provider does not know the customer for sure either', async () => {
    const id = await bought();
    const event = lastEvent('subscription.created');
    const foreign = world.process({
      provider: {
        fetchSubscription: async () => null,
        hasCustomer: async () => {
          throw new TollgateError('provider_error');
        },
      },
    });
    await expect(foreign.deliver(event)).rejects.toMatchObject({ code: 'provider_error', status: 502 });
    expect(await world.stored(id)).toBeNull();
    expect((await world.deliver(event)).outcome).toBe('applied');
    expect(await world.stored(id)).toMatchObject({ tier: 'pro', status: 'active' });
  });

  it('T13: takes no org from the event, and writes nothing when customer and subscription do not belong together', async () => {
    const acmes = await bought('acme');
    await bought('globex');
    const globex = world.sandbox.contents().customers.find(({ org }) => org === 'globex');
    const data = { customer: globex?.id, subscription: acmes, org: 'globex', metadata: { org: 'globex' } };
    const event = made('evt_1', 'subscription.updated', data);
    expect((await post(world, event)).outcome).toBe('unmatched');
    expect((await post(world, event)).outcome).toBe('unmatched');
    expect(world.repository.contents().subscriptions.size).toBe(0);
    expect(world.logs).toContainEqual(
      expect.objectContaining({ level: 'error', facts: expect.objectContaining({ org: 'globex' }) }),
    );
  });

  it('T13: moves no subscription to another org', async () => {
    const id = await bought('acme');
    await world.deliver(lastEvent('subscription.created'));
    const { fetchSubscription } = world.sandbox;
    await bought('globex');
    const globex = world.sandbox.contents().customers.find(({ org }) => org === 'globex');
    const moved = world.process({
      provider: {
        fetchSubscription: async (request) => {
          const subscription = await fetchSubscription(request);
          return subscription && { ...subscription, customerId: globex?.id ?? '' };
        },
      },
    });
    const event = made('evt_1', 'subscription.updated', { customer: globex?.id, subscription: id });
    expect((await post(moved, event)).outcome).toBe('unmatched');
    expect(await world.stored(id)).toMatchObject({ org: 'acme' });
  });
});

describe('T11: an event of a customer nobody linked yet', () => {
  const request = { org: 'acme', tier: 'pro', actor: 'alice' };
  let id: string;

  /** A customer and a subscription made at the provider before the app links them: its idempotency key is the app's own. */
  beforeEach(async () => {
    const stray = world.process({
      repository: { linkCustomer: () => Promise.reject(new TollgateError('repository_unavailable')) },
    });
    await expect(stray.checkout(request)).rejects.toMatchObject({ code: 'repository_unavailable' });
    const [customer] = world.sandbox.contents().customers;
    const desk = { org: 'acme', customerId: customer?.id ?? '', tier: 'pro', idempotencyKey: 'desk' };
    id = world.sandbox.confirm((await world.sandbox.openCheckout(desk)).id).subscriptionId ?? '';
  });

  it('is unmatched and kept, however often it comes', async () => {
    for (let times = 0; times < 3; times += 1) {
      expect((await world.deliver(lastEvent('subscription.created'))).outcome).toBe('unmatched');
    }
    expect(world.repository.contents().inbox.size).toBe(1);
    expect(world.repository.contents().subscriptions.size).toBe(0);
  });

  it('is kept among 10,000 at most, over all customers', async () => {
    const kept: number[] = [];
    const watched = world.process({
      repository: {
        finishEvent: async (finish) => {
          kept.push(finish.maxUnmatched);
          return await world.repository.finishEvent(finish);
        },
      },
    });
    expect((await watched.deliver(lastEvent('subscription.created'))).outcome).toBe('unmatched');
    expect(kept).toEqual([10_000]);
  });

  it('is done when the customer is linked, and then is a duplicate', async () => {
    await world.deliver(lastEvent('subscription.created'));
    await world.deliver(lastEvent('invoice.paid'));
    const { subscription } = await world.checkout(request);
    expect(subscription).toMatchObject({ externalId: id, status: 'active' });
    expect(await world.stored(id)).toMatchObject({ org: 'acme', status: 'active' });
    expect([...world.repository.contents().inbox.values()].map(({ result }) => result)).toEqual([
      'applied',
      'applied',
    ]);
    expect((await world.deliver(lastEvent('subscription.created'))).outcome).toBe('duplicate');
  });

  it('is done by its own delivery when the customer is linked between look-up and putting it aside', async () => {
    let hasLinked = false;
    const racing = world.process({
      repository: {
        finishEvent: async (finish) => {
          if (!hasLinked) {
            hasLinked = true;
            await world.repository.linkCustomer({
              org: 'acme',
              provider: 'sandbox',
              customerId: world.sandbox.contents().customers[0]?.id ?? '',
            });
          }
          return await world.repository.finishEvent(finish);
        },
      },
    });
    expect((await racing.deliver(lastEvent('subscription.created'))).outcome).toBe('applied');
    expect(await world.stored(id)).toMatchObject({ org: 'acme' });
  });

  it('does not fail the checkout when it cannot be done yet, and stays', async () => {
    await world.deliver(lastEvent('subscription.created'));
    const broken = world.process({
      repository: {
        claimEvent: () =>
          Promise.reject(new TollgateError('repository_unavailable', { cause: new Error('no route') })),
      },
    });
    expect((await broken.checkout(request)).subscription).toMatchObject({ externalId: id });
    expect(broken.logs).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        facts: expect.objectContaining({
          org: 'acme',
          code: 'repository_unavailable',
          cause: { name: 'Error', message: 'no route' },
        }),
      }),
    );
    expect((await world.deliver(lastEvent('subscription.created'))).outcome).toBe('applied');
  });
});

describe('W2, F27: fifty copies of one event at once', () => {
  it('have one effect in one process', async () => {
    const id = await bought();
    const event = lastEvent('subscription.created');
    const results = await Promise.all(Array.from({ length: 50 }, () => world.deliver(event)));
    const outcomes = results.map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(49);
    expect(await world.stored(id)).toMatchObject({ version: 1 });
    expect(world.changes).toHaveLength(1);
  });

  it('have one effect in four processes, and none is lost', async () => {
    const id = await bought();
    const event = lastEvent('subscription.created');
    const processes = [world, world.process(), world.process(), world.process()];
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) => (processes[index % 4] ?? world).deliver(event)),
    );
    const outcomes = results.map((result) =>
      result.status === 'fulfilled' ? result.value.outcome : result.reason.code,
    );
    expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(1);
    expect(outcomes.every((outcome) => ['applied', 'duplicate', 'event_in_progress'].includes(outcome))).toBe(
      true,
    );
    expect(await world.stored(id)).toMatchObject({ version: 1 });
    expect(processes.flatMap(({ changes }) => changes)).toHaveLength(1);
  });

  it('wait a bounded time for a claim, then ask for another delivery', async () => {
    await bought();
    const event = lastEvent('subscription.created');
    const stuck = world.process({ provider: { fetchSubscription: () => new Promise(() => {}) } });
    void stuck.deliver(event);
    await expect(world.deliver(event)).rejects.toMatchObject({
      code: 'event_in_progress',
      status: 503,
      cause: { message: expect.stringMatching(`${event} .*claimed`) },
    });
    world.clock.advance(LEASE_MS);
    expect((await world.deliver(event)).outcome).toBe('applied');
  });
});

describe('W6, F26: a webhook that breaks off', () => {
  type Method = 'claimEvent' | 'findCustomer' | 'findSubscription' | 'finishEvent';
  const unavailable = () => new TollgateError('repository_unavailable');

  /** Runs the method and then fails, or fails at once. */
  function breaking(method: Method, when: 'before' | 'after'): Partial<BillingRepository> {
    const real = world.repository[method].bind(world.repository) as (request: unknown) => Promise<unknown>;
    const broken = async (request: unknown) => {
      if (when === 'after') await real(request);
      throw unavailable();
    };
    return { [method]: broken };
  }

  const POINTS = [
    ['claimEvent', 'before'],
    ['claimEvent', 'after'],
    ['findCustomer', 'before'],
    ['findSubscription', 'after'],
    ['finishEvent', 'before'],
  ] as const;

  it.each(POINTS)(
    'in a process that dies at %s (%s) is done by a redelivery after the lease',
    async (method, when) => {
      const id = await bought();
      const event = lastEvent('subscription.created');
      // A dead process gives no claim back either.
      const dying = world.process({
        repository: { ...breaking(method, when), releaseEvent: () => Promise.reject(unavailable()) },
      });
      await expect(dying.deliver(event)).rejects.toMatchObject({ status: 503 });
      expect(await world.stored(id)).toBeNull();
      world.clock.advance(LEASE_MS);
      expect((await world.deliver(event)).outcome).toBe('applied');
      expect(await world.stored(id)).toMatchObject({ status: 'active', version: 1 });
    },
  );

  it.each(['findCustomer', 'findSubscription', 'finishEvent'] as const)(
    'at %s in a process that lives on is done by the next delivery',
    async (method) => {
      const id = await bought();
      const event = lastEvent('subscription.created');
      await expect(
        world.process({ repository: breaking(method, 'before') }).deliver(event),
      ).rejects.toMatchObject({ status: 503 });
      expect((await world.deliver(event)).outcome).toBe('applied');
      expect(await world.stored(id)).toMatchObject({ version: 1 });
    },
  );

  it('after it was done but before the answer is a duplicate next time', async () => {
    const id = await bought();
    const event = lastEvent('subscription.created');
    await expect(
      world.process({ repository: breaking('finishEvent', 'after') }).deliver(event),
    ).rejects.toMatchObject({ status: 503 });
    expect((await world.deliver(event)).outcome).toBe('duplicate');
    expect(await world.stored(id)).toMatchObject({ version: 1 });
  });

  it.each([
    ['error', 502],
    ['timeout', 504],
    ['busy', 503],
  ] as const)('F28: because the provider answers %s is done by the next delivery', async (outage, status) => {
    await bought();
    const event = lastEvent('subscription.created');
    world.sandbox.setOutage(outage);
    await expect(world.deliver(event)).rejects.toMatchObject({ status });
    world.sandbox.setOutage(null);
    expect((await world.deliver(event)).outcome).toBe('applied');
  });

  it('beyond its lease leaves the event to who holds it then', async () => {
    const id = await bought();
    const event = lastEvent('subscription.created');
    const { fetchSubscription } = world.sandbox;
    const slow = world.process({
      provider: {
        fetchSubscription: async (request) => {
          world.clock.advance(LEASE_MS);
          expect((await world.deliver(event)).outcome).toBe('applied');
          return await fetchSubscription(request);
        },
      },
    });
    await expect(slow.deliver(event)).rejects.toMatchObject({ code: 'event_in_progress' });
    expect(await world.stored(id)).toMatchObject({ version: 1 });
    expect((await world.deliver(event)).outcome).toBe('duplicate');
  });

  it('beyond its lease asks for another delivery also of an event that comes to nothing', async () => {
    await bought();
    const event = lastEvent('subscription.created');
    const slow = world.process({
      repository: {
        findCustomer: async () => {
          world.clock.advance(LEASE_MS);
          expect((await world.deliver(event)).outcome).toBe('applied');
          return null;
        },
      },
    });
    await expect(slow.deliver(event)).rejects.toMatchObject({ code: 'event_in_progress' });
  });
});

describe('a stale answer of the provider', () => {
  it('never wins over one fetched later by another process', async () => {
    const id = await bought();
    const { fetchSubscription } = world.sandbox;
    let held = 0;
    const slow = world.process({
      provider: {
        fetchSubscription: async (request) => {
          const state = await fetchSubscription(request);
          held += 1;
          if (held === 1) {
            world.sandbox.setStatus(id, 'past_due');
            await world.deliver(lastEvent('subscription.updated'));
          }
          return state;
        },
      },
    });
    expect((await slow.deliver(lastEvent('subscription.created'))).outcome).toBe('applied');
    expect(held).toBe(2);
    expect(await world.stored(id)).toMatchObject({ status: 'past_due' });
  });

  it('is not even fetched by the same process, which asks for one subscription at a time', async () => {
    const id = await bought();
    world.sandbox.setStatus(id, 'past_due');
    const { fetchSubscription } = world.sandbox;
    let asking = 0;
    const most: number[] = [];
    const process = world.process({
      provider: {
        fetchSubscription: async (request) => {
          asking += 1;
          most.push(asking);
          const state = await fetchSubscription(request);
          asking -= 1;
          return state;
        },
      },
    });
    await Promise.all(world.sandbox.events().map((event) => process.deliver(event.id)));
    expect(most.length).toBeGreaterThan(2);
    expect(Math.max(...most)).toBe(1);
  });

  it('is given up after a bounded number of conflicts, and the event stays', async () => {
    await bought();
    const event = lastEvent('subscription.created');
    const contended = world.process({ repository: { finishEvent: async () => 'conflict' } });
    await expect(contended.deliver(event)).rejects.toMatchObject({
      code: 'event_in_progress',
      cause: { message: expect.stringMatching(`${event} .*changes faster`) },
    });
    expect((await world.deliver(event)).outcome).toBe('applied');
  });
});

function spyOnAll(repository: BillingRepository, calls: string[]): Partial<BillingRepository> {
  const names = Object.keys(repository) as (keyof BillingRepository)[];
  return Object.fromEntries(
    names.map((name) => [
      name,
      () => {
        calls.push(name);
        throw new TollgateError('repository_unavailable');
      },
    ]),
  );
}
