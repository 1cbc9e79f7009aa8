import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BillingRepository, PaymentProvider } from '@tollgate/core';
import { type StripeStandIn, stripeStandIn } from '@tollgate/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { watched } from './step-wrappers.ts';
import { caller, type StripeHost, stripeHost } from './stripe-hosts.ts';
import { type SharedStore, STORES } from './stripe-stores.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Rig {
  readonly standIn: StripeStandIn;
  readonly store: SharedStore;
  readonly prices: Readonly<Record<string, string>>;
  /** A process that lives. */
  readonly healthy: StripeHost;
  host(wrap?: {
    readonly repository?: (repository: BillingRepository) => BillingRepository;
    readonly provider?: (provider: PaymentProvider) => PaymentProvider;
  }): Promise<StripeHost>;
  /** Checkout and payment of a new org, nothing of it delivered. */
  bought(org: string): Promise<{ readonly id: string; readonly event: string }>;
}

async function rigged(name: string): Promise<Rig> {
  const standIn = await stripeStandIn();
  open.push(() => standIn.close());
  standIn.setDelivery(() => 'drop');
  const make = STORES[name];
  if (make === undefined) throw new Error(`There is no ${name}.`);
  const store = await make();
  open.push(() => store.drop());
  const prices = { pro: standIn.addPrice({ amount: 1_900 }), business: standIn.addPrice({ amount: 9_900 }) };
  const host: Rig['host'] = async (wrap = {}) => {
    const repository = await store.handle();
    const made = await stripeHost({
      standIn,
      prices,
      repository: wrap.repository?.(repository) ?? repository,
      ...(wrap.provider === undefined ? {} : { wrapProvider: wrap.provider }),
    });
    open.push(() => made.close());
    return made;
  };
  const healthy = await host();
  return {
    standIn,
    store,
    prices,
    healthy,
    host,
    async bought(org) {
      const page = await caller(healthy.api)('POST', `/orgs/${org}/billing/checkout`, { tier_slug: 'pro' });
      const id = standIn.pay(page.body.external_id);
      const event = standIn
        .events()
        .findLast(({ type, data }) => type === 'customer.subscription.created' && data.object.id === id);
      return { id, event: event?.id ?? '' };
    },
  };
}

async function post(
  rig: Rig,
  url: string,
  event: string,
): Promise<{ status: number; outcome: string | null }> {
  const { bytes, headers } = rig.standIn.signed(event);
  const answer = await fetch(url, { method: 'POST', body: bytes, headers });
  await answer.arrayBuffer();
  return { status: answer.status, outcome: answer.headers.get('x-webhook-outcome') };
}

/** One effect: the state is there, and the audit tells of it once. */
async function expectOneEffect(rig: Rig, org: string, id: string): Promise<void> {
  expect(await rig.healthy.billing.plan(org)).toMatchObject({
    tier: 'pro',
    subscription: { id, status: 'active' },
  });
  const changes = (await rig.healthy.billing.audit({ org })).filter(
    ({ action }) => action === 'subscription.changed',
  );
  expect(changes).toMatchObject([{ subject: id, actor: 'provider:stripe', before: null }]);
}

describe.each(Object.keys(STORES))('F26, W6: on %s', (name) => {
  it('a process that dies at any step of a webhook loses nothing: the next delivery has the one effect', async () => {
    const rig = await rigged(name);
    const names: string[] = [];
    const counting = { before: (step: string) => void names.push(step) };
    const clean = await rig.host({
      repository: (repository) => watched(repository, counting),
      provider: (provider) => watched(provider, counting),
    });
    const first = await rig.bought('clean');
    expect(await post(rig, clean.webhookUrl, first.event)).toEqual({ status: 200, outcome: 'applied' });
    // What follows the effect, such as a look at the org's capacity, is no part of the webhook.
    const work = names.slice(0, names.indexOf('finishEvent') + 1);
    expect(work).toEqual(
      expect.arrayContaining(['readWebhook', 'claimEvent', 'fetchSubscription', 'finishEvent']),
    );

    for (let step = 1; step <= work.length; step += 1) {
      for (const moment of ['before', 'after'] as const) {
        // From that moment on the process can do nothing any more, as if it were gone.
        let steps = 0;
        let isDead = false;
        const dying = {
          before() {
            steps += 1;
            isDead ||= moment === 'before' && steps === step;
            if (isDead) throw new Error('dead');
          },
          after() {
            isDead ||= moment === 'after' && steps === step;
            if (isDead) throw new Error('dead');
          },
        };
        const doomed = await rig.host({
          repository: (repository) => watched(repository, dying),
          provider: (provider) => watched(provider, dying),
        });
        const org = `dead-${moment}-${step}`;
        const { id, event } = await rig.bought(org);
        expect((await post(rig, doomed.webhookUrl, event)).status).toBeGreaterThanOrEqual(500);
        await rig.store.expireClaims();
        const isDone = moment === 'after' && work[step - 1] === 'finishEvent';
        expect(await post(rig, rig.healthy.webhookUrl, event)).toEqual({
          status: 200,
          outcome: isDone ? 'duplicate' : 'applied',
        });
        await expectOneEffect(rig, org, id);
      }
    }
  }, 60_000);

  it('F28: a webhook during an outage of Stripe’s is kept for the next delivery', async () => {
    const rig = await rigged(name);
    const faults = [
      [{ timeout: true }, 504],
      [{ status: 429 }, 503],
      [{ status: 500 }, 502],
      [{ status: 409 }, 503],
      [{ garbage: true }, 502],
    ] as const;
    for (const [index, [fault, status]] of faults.entries()) {
      const org = `outage-${index}`;
      const { id, event } = await rig.bought(org);
      rig.standIn.failNext(fault);
      expect((await post(rig, rig.healthy.webhookUrl, event)).status).toBe(status);
      expect(await rig.healthy.billing.plan(org)).toMatchObject({ tier: 'free' });
      expect(await post(rig, rig.healthy.webhookUrl, event)).toEqual({ status: 200, outcome: 'applied' });
      await expectOneEffect(rig, org, id);
    }
  });

  it('F28, T13: an answer about another subscription, or of another org’s customer, is stored nowhere', async () => {
    const rig = await rigged(name);
    const theirs = await rig.bought('theirs');
    const mine = await rig.bought('mine');
    const confused = await rig.host({
      provider: (provider) =>
        new Proxy(provider, {
          get: (target, member) =>
            member === 'fetchSubscription'
              ? () => target.fetchSubscription({ subscriptionId: theirs.id })
              : Reflect.get(target, member),
        }),
    });
    expect(await post(rig, confused.webhookUrl, mine.event)).toEqual({ status: 200, outcome: 'unmatched' });
    for (const org of ['mine', 'theirs'])
      expect(await rig.healthy.billing.plan(org)).toMatchObject({ tier: 'free' });
    expect(confused.logs.join()).toContain('another customer or org');
  });

  it('F28, W10: a stale answer is overtaken by the next event or a sync', async () => {
    const rig = await rigged(name);
    const { id, event } = await rig.bought('acme');
    let stale: Awaited<ReturnType<PaymentProvider['fetchSubscription']>> = null;
    const behind = await rig.host({
      provider: (provider) =>
        new Proxy(provider, {
          get: (target, member) =>
            member === 'fetchSubscription' ? async () => stale : Reflect.get(target, member),
        }),
    });
    await post(rig, rig.healthy.webhookUrl, event);
    stale = { ...JSON.parse(JSON.stringify(await rigFetch(rig, id))), status: 'active' };
    rig.standIn.setStatus(id, 'past_due');
    const failed =
      rig.standIn.events().findLast(({ type }) => type === 'customer.subscription.updated')?.id ?? '';
    expect((await post(rig, behind.webhookUrl, failed)).status).toBe(200);
    expect(await rig.healthy.billing.plan('acme')).toMatchObject({ subscription: { status: 'active' } });
    expect(await rig.healthy.billing.sync({ org: 'acme' })).toMatchObject({ changed: 1 });
    expect(await rig.healthy.billing.plan('acme')).toMatchObject({ subscription: { status: 'past_due' } });
  });
});

/** The subscription as the provider answers it, by way of a process of its own. */
async function rigFetch(rig: Rig, id: string) {
  let found: unknown = null;
  const looking = await rig.host({
    provider: (provider) => {
      found = provider.fetchSubscription({ subscriptionId: id });
      return provider;
    },
  });
  void looking;
  return await found;
}

describe('F26: a process killed by the system', () => {
  it('after any step of a webhook loses nothing', async () => {
    const rig = await rigged('postgres');
    const { address } = rig.store;
    const { origin, secretKey, webhookSecrets } = rig.standIn;
    const killed: number[] = [];
    for (let dieAfter = 1; dieAfter <= 12; dieAfter += 1) {
      const org = `killed-${dieAfter}`;
      const { id, event } = await rig.bought(org);
      const order = {
        ...address,
        standIn: { origin, secretKey, webhookSecrets },
        prices: rig.prices,
        dieAfter,
      };
      const child = spawn(
        process.execPath,
        [
          '--conditions=@tollgate/source',
          '--import',
          'tsx',
          fileURLToPath(new URL('dying-host.ts', import.meta.url)),
        ],
        {
          env: { ...process.env, NODE_OPTIONS: '', DYING_HOST_ORDER: JSON.stringify(order) },
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      );
      const ended = once(child, 'exit');
      try {
        const [line] = (await once(child.stdout, 'data')) as [Buffer];
        const attempt = await post(rig, line.toString().trim(), event).catch(() => null);
        if (attempt !== null) {
          // It had fewer steps than that: every one was tried.
          expect(attempt).toEqual({ status: 200, outcome: 'applied' });
          break;
        }
        killed.push(dieAfter);
      } finally {
        child.kill('SIGKILL');
        await ended;
      }
      await rig.store.expireClaims();
      const { status, outcome } = await post(rig, rig.healthy.webhookUrl, event);
      expect({ status, known: outcome === 'applied' || outcome === 'duplicate' }).toEqual({
        status: 200,
        known: true,
      });
      await expectOneEffect(rig, org, id);
    }
    expect(killed.length).toBeGreaterThanOrEqual(5);
    expect(killed.length).toBeLessThan(12);
  }, 120_000);
});

describe('F29: a secret that is rolled', () => {
  it('is accepted, old and new, while both are signed with, and the old one refused afterwards', async () => {
    const rig = await rigged('memory');
    const [old = ''] = rig.standIn.webhookSecrets;
    const { event } = await rig.bought('acme');
    const signedByOld = rig.standIn.signed(event);
    rig.standIn.webhookSecrets = [old, 'whsec_next_0123456789'];
    expect((await post(rig, rig.healthy.webhookUrl, event)).outcome).toBe('applied');
    rig.standIn.webhookSecrets = ['whsec_next_0123456789'];
    expect((await post(rig, rig.healthy.webhookUrl, event)).outcome).toBe('duplicate');
    const late = await fetch(rig.healthy.webhookUrl, {
      method: 'POST',
      body: signedByOld.bytes,
      headers: signedByOld.headers,
    });
    expect(late.status).toBe(400);
  });
});
