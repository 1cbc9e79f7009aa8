import type { BillingRepository, Subscription } from '@tollgate/core';
import { type StripeStandIn, stripeStandIn } from '@tollgate/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { caller, type StripeHost, stripeHost } from './stripe-hosts.ts';
import { type SharedStore, STORES } from './stripe-stores.ts';

const ORDERS = 200;
/** How many orgs' histories are played at once. */
const LANES = 4;
const DAY_MS = 86_400_000;
const GRACE_MS = 14 * DAY_MS;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Shuffles by a seeded generator, so that a failing order can be played again. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  let state = seed + 1;
  const random = (below: number) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return (state >>> 0) % below;
  };
  const list = [...items];
  for (let index = list.length - 1; index > 0; index -= 1) {
    const other = random(index + 1);
    [list[index], list[other]] = [list[other] as T, list[index] as T];
  }
  return list;
}

interface Rig {
  readonly standIn: StripeStandIn;
  readonly store: SharedStore;
  /** For looking into the store. */
  readonly repository: BillingRepository;
  /** Two processes behind one address book. */
  readonly hosts: readonly StripeHost[];
}

/** A history of six events of an org that buys, fails to pay and is lost. None of it is delivered yet. */
async function history(
  { standIn, hosts }: Rig,
  org: string,
): Promise<{ id: string; events: readonly string[] }> {
  const page = await caller(hosts[0]?.api ?? '')('POST', `/orgs/${org}/billing/checkout`, {
    tier_slug: 'pro',
  });
  expect(page.status, page.text).toBe(200);
  // From here on nothing waits, so that histories of several orgs at once do not mix.
  const begin = standIn.events().length;
  const id = standIn.pay(page.body.external_id);
  const paid = standIn.events().length;
  standIn.setStatus(id, 'past_due');
  standIn.setStatus(id, 'canceled');
  const told = standIn.events();
  const first = ['customer.subscription.created', 'invoice.paid', 'checkout.session.completed'];
  const events = [...told.slice(begin, paid).filter(({ type }) => first.includes(type)), ...told.slice(paid)];
  return { id, events: events.map((event) => event.id) };
}

async function rigged(name: string): Promise<Rig> {
  let next = 0;
  const hosts: StripeHost[] = [];
  const standIn = await stripeStandIn({
    // Every delivery goes to the other process than the one before.
    webhookUrl: () => {
      next += 1;
      return hosts[next % hosts.length]?.webhookUrl ?? null;
    },
  });
  open.push(() => standIn.close());
  standIn.setDelivery(() => 'drop');
  const make = STORES[name];
  if (make === undefined) throw new Error(`There is no ${name}.`);
  const store = await make();
  open.push(() => store.drop());
  const prices = { pro: standIn.addPrice({ amount: 1_900 }), business: standIn.addPrice({ amount: 9_900 }) };
  for (let process = 0; process < 2; process += 1) {
    const host = await stripeHost({
      standIn,
      prices,
      repository: await store.handle(),
      options: { pastDueGraceMs: GRACE_MS },
    });
    open.push(() => host.close());
    hosts.push(host);
  }
  return { standIn, store, repository: await store.handle(), hosts };
}

/** All that is stored of a subscription, but for what names it and when it was. */
async function stored(rig: Rig, id: string): Promise<Partial<Subscription> | null> {
  const found = await rig.repository.findSubscription({ provider: 'stripe', id });
  if (found === null) return null;
  const {
    version: _,
    id: __,
    org: ___,
    customerId: ____,
    createdAt: _5,
    currentPeriodEndsAt: _6,
    endedAt,
    ...state
  } = found;
  return { ...state, endedAt: endedAt === null ? null : 0 };
}

describe.each(Object.keys(STORES))('W2, W3, W4: on %s, over HTTP and two processes', (name) => {
  it(`${ORDERS} orders of six events, with none, one or all of them doubled, end in one state, each event done once`, async () => {
    const rig = await rigged(name);
    const ends = new Set<string>();

    async function play(order: number): Promise<void> {
      const { id, events } = await history(rig, `org-${order}`);
      expect(events).toHaveLength(6);
      const mine = shuffled(events, order);
      const doubled = mine[order % mine.length] ?? '';
      const plans = [mine, [doubled, ...mine, doubled], shuffled([...mine, ...mine], order + 1_000)];
      const answers = await rig.standIn.deliver(plans[order % plans.length] ?? []);
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      // Once each, whatever the order: the first delivery is not a duplicate, every other one is.
      const first = new Set<string>();
      for (const { eventId, outcome } of answers) {
        expect({ order, outcome: outcome === 'duplicate' }).toEqual({ order, outcome: first.has(eventId) });
        first.add(eventId);
      }
      ends.add(JSON.stringify(await stored(rig, id)));
    }

    for (let lane = 0; lane < ORDERS; lane += LANES)
      await Promise.all(Array.from({ length: LANES }, (_, index) => play(lane + index)));
    expect([...ends].map((end) => JSON.parse(end))).toEqual([
      expect.objectContaining({
        provider: 'stripe',
        status: 'canceled',
        tier: 'pro',
        pastDueAt: null,
        endedAt: 0,
      }),
    ]);
    expect(await rig.hosts[1]?.billing.plan('org-0')).toMatchObject({ tier: 'free' });
  }, 120_000);

  it('W2, F27: 50 copies of one event at once have one effect, and none is lost', async () => {
    const rig = await rigged(name);
    const told: string[] = [];
    for (const [index, { billing }] of rig.hosts.entries())
      billing.on('subscription.changed', () => void told.push(`changed ${index}`));
    const { events } = await history(rig, 'acme');
    const [event = ''] = events;
    const copies = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const { bytes, headers } = rig.standIn.signed(event);
        const url = rig.hosts[index % rig.hosts.length]?.webhookUrl ?? '';
        const answer = await fetch(url, { method: 'POST', body: bytes, headers });
        await answer.arrayBuffer();
        return { status: answer.status, outcome: answer.headers.get('x-webhook-outcome') };
      }),
    );
    const outcomes = copies.map(({ status, outcome }) => (status === 200 ? outcome : status));
    expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(1);
    expect(
      outcomes.filter((outcome) => outcome !== 'applied' && outcome !== 'duplicate' && outcome !== 503),
    ).toEqual([]);
    expect(told).toHaveLength(1);
  });

  it('W10: a lost set of events is healed by comparing, and by asking what was told', async () => {
    const rig = await rigged(name);
    const [one, two] = rig.hosts;
    const since = Date.now() - 60_000;
    for (let org = 0; org < 6; org += 1) {
      const { id, events } = await history(rig, `lost-${org}`);
      await rig.standIn.deliver(shuffled(events, org).slice(0, org));
      const billing = org % 2 === 0 ? one?.billing : two?.billing;
      const result = await billing?.sync(org < 3 ? 'all' : { eventsSince: since });
      expect(result).toMatchObject({ failed: 0, unknown: 0 });
      expect(await stored(rig, id)).toMatchObject({ status: 'canceled', tier: 'pro' });
    }
    // What was found by asking counts as delivered: when it comes after all, it is a duplicate.
    const { events } = await history(rig, 'late');
    await two?.billing.sync({ eventsSince: since });
    const late = await rig.standIn.deliver(events);
    expect(new Set(late.map(({ outcome }) => outcome))).toEqual(new Set(['duplicate']));
    expect(await one?.billing.sync({ eventsSince: since })).toMatchObject({ changed: 0, failed: 0 });
  });
});
