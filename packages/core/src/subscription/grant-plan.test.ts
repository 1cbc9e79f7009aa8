import { fakeClock } from '@tollgate/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Billing } from '../billing-interface.ts';
import { capacity } from '../catalog/quota.ts';
import { createBilling } from '../create-billing.ts';
import { memoryBillingRepository } from '../memory/memory-billing-repository.ts';
import type { NoticeMap } from '../notices/types.ts';
import type { BillingOptions } from '../options.ts';
import type { BillingRepository } from '../ports/billing-repository.ts';
import { sandboxProvider } from '../sandbox/sandbox-provider.ts';

const DAY = 86_400_000;
const TIERS = [
  { slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 0, limits: { devices: 3 } },
  { slug: 'pro', name: 'Pro', sortOrder: 1, limits: { devices: 50 } },
  { slug: 'business', name: 'Business', sortOrder: 2, limits: { devices: 500 } },
  { slug: 'partner', name: 'Partner', sortOrder: 3, isPublished: false, limits: { devices: 'unlimited' } },
] as const;

/** An app on a sandbox and a shared repository, and engines of it as further processes would have. */
function app() {
  const clock = fakeClock();
  const repository = memoryBillingRepository({ clock });
  const sandbox = sandboxProvider({ webhookUrl: null, clock });
  const rows = new Map<string, number>();
  const changes: NoticeMap['subscription.changed'][] = [];
  const warned: string[] = [];
  const logged: string[] = [];
  const log = (message: string) => void logged.push(message);
  const engine = (options: Partial<BillingOptions> = {}, parts: Partial<BillingRepository> = {}) => {
    const billing = createBilling({
      quotas: { devices: capacity() },
      tiers: TIERS,
      inventory: {
        count: async ({ org }) => rows.get(org) ?? 0,
        list: async function* ({ org }) {
          for (let n = 0; n < (rows.get(org) ?? 0); n += 1)
            yield { id: `d${n}`, createdAt: n, lastUsedAt: null };
        },
        find: async () => null,
      },
      access: () => ({ actor: 'op', allowed: true }),
      provider: sandbox,
      returnOrigins: ['https://app.example.com'],
      limitsTtlMs: 300_000,
      refusalCountMaxAgeMs: 0,
      clock,
      logger: { debug() {}, info() {}, warn: log, error: log },
      ...options,
      repository: { ...repository, ...parts },
    }) as Billing<'devices'>;
    billing.on('subscription.changed', (notice) => void changes.push(notice));
    billing.on('capacity.warned', ({ org }) => void warned.push(org));
    return billing;
  };
  const grants = async (org = 'acme') =>
    (await repository.loadOrg(org)).subscriptions.filter(({ provider }) => provider === 'manual');
  const subscribe = async (tier: string) => {
    const { subscription } = await billing.checkout({ org: 'acme', tier, actor: 'alice' });
    sandbox.confirm(subscription.externalId);
    await billing.sync({ org: 'acme' });
  };
  const billing = engine();
  return { clock, repository, sandbox, rows, changes, warned, logged, engine, billing, grants, subscribe };
}

let one: ReturnType<typeof app>;
beforeEach(() => {
  one = app();
});
afterEach(() => one.billing.close());

const grant = (tier: string | null, until?: number) => ({
  org: 'acme',
  tier,
  actor: 'op',
  ...(until === undefined ? {} : { until }),
});
const limitOf = async (billing: Billing<'devices'>) => (await billing.usage({ org: 'acme' })).items[0]?.limit;

describe('grantPlan', () => {
  it('gives an org a tier until it is taken back, on sale or not, with a limit that says so', async () => {
    const { billing, clock } = one;
    await billing.plan('acme');
    const plan = await billing.grantPlan(grant('partner'));
    expect(plan).toEqual({
      org: 'acme',
      tier: 'partner',
      isDefault: false,
      subscription: {
        provider: 'manual',
        id: 'grant_acme_1',
        org: 'acme',
        customerId: '',
        tier: 'partner',
        status: 'active',
        quantity: 1,
        interval: null,
        createdAt: clock.now(),
        currentPeriodEndsAt: null,
        trialEndsAt: null,
        cancelsAt: null,
        scheduledTier: null,
        scheduledAt: null,
        pastDueAt: null,
        endedAt: null,
        version: 1,
      },
    });
    expect(await limitOf(billing)).toEqual({ value: null, source: { kind: 'tier', slug: 'partner' } });
    clock.advance(10_000 * DAY);
    expect((await billing.plan('acme')).tier).toBe('partner');
  });

  it('ends at `until` itself, in every process, though the limits were read before and nobody acts', async () => {
    const { billing, clock, engine, rows, logged } = one;
    const other = engine();
    const until = clock.now() + 60_000;
    await billing.grantPlan(grant('pro', until));
    const reserve = () => other.reserve({ org: 'acme', charges: [{ key: 'devices' }] });
    rows.set('acme', 40);
    expect(await reserve()).toMatchObject({ admitted: true });
    clock.set(until - 1);
    for (const process of [billing, other]) expect((await process.plan('acme')).tier).toBe('pro');
    clock.set(until);
    for (const process of [billing, other]) {
      expect(await process.plan('acme')).toEqual({
        org: 'acme',
        tier: 'free',
        isDefault: true,
        subscription: null,
      });
    }
    expect(await reserve()).toMatchObject({
      admitted: false,
      denied: [{ key: 'devices', limit: { value: 3 } }],
    });
    expect(await limitOf(other)).toEqual({ value: 3, source: { kind: 'default' } });
    expect(logged).toEqual([]);
  });

  it('starts the over-capacity clock by itself when its time is over', async () => {
    const { billing, clock, rows, warned } = one;
    const until = clock.now() + 30 * DAY;
    rows.set('acme', 4);
    await billing.grantPlan(grant('pro', until));
    await billing.sweep();
    clock.set(until - 1);
    expect(await billing.sweep()).toMatchObject({ orgs: 0 });
    clock.set(until);
    await billing.sweep();
    expect(warned).toEqual(['acme']);
    expect(await billing.degradation('acme')).toMatchObject({ overCapacity: true, overCapacityAt: until });
  });

  it('granted again is changed: tier and end', async () => {
    const { billing, clock, grants, changes } = one;
    await billing.grantPlan(grant('pro', clock.now() + DAY));
    clock.advance(1_000);
    await billing.grantPlan(grant('business', clock.now() + 2 * DAY));
    expect(await grants()).toMatchObject([
      { tier: 'business', cancelsAt: clock.now() + 2 * DAY, version: 2 },
    ]);
    expect(await billing.grantPlan(grant('pro'))).toMatchObject({
      tier: 'pro',
      subscription: { cancelsAt: null },
    });
    expect(await grants()).toMatchObject([
      { id: 'grant_acme_1', createdAt: clock.now() - 1_000, version: 3 },
    ]);
    expect(changes.map(({ before, after }) => [before?.tier, after.tier])).toEqual([
      [undefined, 'pro'],
      ['pro', 'business'],
      ['business', 'pro'],
    ]);
  });

  it('granted again after its time is over is the same grant, with a new end', async () => {
    const { billing, clock, grants } = one;
    await billing.grantPlan(grant('pro', clock.now() + DAY));
    clock.advance(3 * DAY);
    expect(await billing.grantPlan(grant('pro', clock.now() + DAY))).toMatchObject({ tier: 'pro' });
    expect(await grants()).toHaveLength(1);
  });

  it('asked for what is so already, writes nothing and notifies nobody, and answers what another process wrote', async () => {
    const { billing, engine, clock, grants, changes } = one;
    const until = clock.now() + DAY;
    await billing.plan('acme');
    await engine().grantPlan(grant('pro', until));
    expect((await billing.plan('acme')).tier).toBe('free');
    expect((await billing.grantPlan(grant('pro', until))).tier).toBe('pro');
    expect(await grants()).toMatchObject([{ version: 1 }]);
    expect(changes).toHaveLength(1);
    expect(await billing.audit()).toHaveLength(1);
  });

  it('is taken back at once, for good; the next one is another', async () => {
    const { billing, clock, grants } = one;
    await billing.grantPlan(grant('pro', clock.now() + DAY));
    clock.advance(1_000);
    const ended = { status: 'canceled', cancelsAt: null, endedAt: clock.now(), version: 2 };
    const plan = await billing.grantPlan(grant(null));
    expect(plan).toEqual({ org: 'acme', tier: 'free', isDefault: true, subscription: null });
    expect(await grants()).toMatchObject([ended]);
    await billing.grantPlan(grant(null));
    await billing.grantPlan(grant('business'));
    expect(await grants()).toMatchObject([
      { id: 'grant_acme_1', tier: 'pro', ...ended },
      { id: 'grant_acme_2', tier: 'business', status: 'active' },
    ]);
  });

  it('taken back after its time is over, ended when that was', async () => {
    const { billing, clock, grants } = one;
    const until = clock.now() + DAY;
    await billing.grantPlan(grant('pro', until));
    clock.advance(3 * DAY);
    await billing.grantPlan(grant(null));
    expect(await grants()).toMatchObject([{ status: 'canceled', endedAt: until }]);
  });

  it('writes nothing for an org that has no grant to take back', async () => {
    const { billing, repository, changes } = one;
    expect(await billing.grantPlan(grant(null))).toMatchObject({ tier: 'free', subscription: null });
    expect(repository.contents().subscriptions.size).toBe(0);
    expect(changes).toEqual([]);
  });

  it('leaves in the audit trail who granted what, changed it and took it back', async () => {
    const { billing, clock } = one;
    const until = clock.now() + DAY;
    for (const [tier, actor] of [
      ['pro', 'ann'],
      ['business', 'bob'],
      [null, 'cleo'],
    ] as const)
      await billing.grantPlan({ org: 'acme', tier, actor, until: tier === 'pro' ? until : null });
    const facts = { quantity: 1, scheduledTier: null, cancelsAt: null, endedAt: null };
    const granted = { ...facts, tier: 'pro', status: 'active', cancelsAt: until };
    const changed = { ...facts, tier: 'business', status: 'active' };
    const ended = { ...facts, tier: 'business', status: 'canceled', endedAt: clock.now() };
    const entry = { at: clock.now(), org: 'acme', action: 'subscription.changed', subject: 'grant_acme_1' };
    expect((await billing.audit()).map(({ position: _, ...rest }) => rest)).toEqual([
      { ...entry, actor: 'cleo', before: changed, after: ended },
      { ...entry, actor: 'bob', before: granted, after: changed },
      { ...entry, actor: 'ann', before: null, after: granted },
    ]);
  });

  it('has the org looked at at once when it is taken back, without a sweep', async () => {
    const { billing, rows, warned } = one;
    rows.set('acme', 4);
    await billing.grantPlan(grant('pro'));
    await billing.grantPlan(grant(null));
    await expect.poll(() => warned).toEqual(['acme']);
  });

  it('works where nothing is sold', async () => {
    const billing = one.engine({ provider: null });
    expect(await billing.grantPlan(grant('pro'))).toMatchObject({ tier: 'pro' });
    expect(await billing.grantPlan(grant(null))).toMatchObject({ tier: 'free' });
  });

  it('called by many at once in three processes, ends in one grant and one history', async () => {
    const { engine, grants, changes, repository } = one;
    const slow: Partial<BillingRepository> = {
      loadOrg: async (org) => {
        const found = await repository.loadOrg(org);
        await new Promise(setImmediate);
        return found;
      },
    };
    const engines = [engine({}, slow), engine({}, slow), engine({}, slow)];
    const tiers = ['pro', 'business', 'partner'] as const;
    const calls = tiers.flatMap((tier, n) =>
      Array.from({ length: 4 }, (_, day) =>
        engines[n]?.grantPlan(grant(tier, one.clock.now() + (day + 1) * DAY)),
      ),
    );
    await Promise.all(calls);
    const [stored, ...more] = await grants();
    expect(more).toEqual([]);
    expect(changes).toHaveLength(stored?.version ?? 0);
    const audit = await one.billing.audit();
    expect(audit).toHaveLength(stored?.version ?? 0);
    // Each change was made to what the one before it left.
    audit.forEach(({ before }, n) => {
      expect(before).toEqual(audit[n + 1]?.after ?? null);
    });
    for (const process of engines)
      expect(await process.grantPlan(grant('pro'))).toMatchObject({
        tier: 'pro',
        subscription: { id: stored?.id },
      });
  });

  it('called by fifty at once in one process, does what each of them asked, one after another', async () => {
    const { billing, clock, grants } = one;
    const ends = Array.from({ length: 50 }, (_, day) => clock.now() + (day + 1) * DAY);
    await Promise.all(ends.map((until) => billing.grantPlan(grant('pro', until))));
    expect(await grants()).toMatchObject([{ cancelsAt: ends.at(-1), version: 50 }]);
  });

  it('fails in the end where others write the grant at each of its tries', async () => {
    let tries = 0;
    const contended = one.engine(
      {},
      {
        saveSubscription: async () => {
          tries += 1;
          return 'conflict';
        },
      },
    );
    await expect(contended.grantPlan(grant('pro'))).rejects.toMatchObject({
      code: 'repository_unavailable',
      retryAfterSeconds: 1,
    });
    expect(tries).toBeGreaterThan(5);
  });

  it('grants where the statuses of the payment provider have other names', async () => {
    const { engine } = one;
    const billing = engine({ grantingStatuses: ['paid'] });
    expect(await billing.grantPlan(grant('pro'))).toMatchObject({ tier: 'pro', isDefault: false });
    expect(await billing.grantPlan(grant(null))).toMatchObject({ tier: 'free', isDefault: true });
  });

  it.each<[string, object, string]>([
    ['a tier that there is not', { tier: 'gold' }, 'unknown_tier'],
    ['no tier', { tier: undefined }, 'unknown_tier'],
    ['the default tier', { tier: 'free' }, 'invalid_request'],
    ['an end that has come', { until: fakeClock().now() }, 'invalid_request'],
    ['an end that is no instant', { until: Number.NaN }, 'invalid_request'],
    ['an end that never comes', { until: Number.POSITIVE_INFINITY }, 'invalid_request'],
    ['an end that no database keeps', { until: Date.UTC(10_000, 0) }, 'invalid_request'],
    ['an end as a text', { until: '2030-01-01' }, 'invalid_request'],
    ['an end to no tier', { tier: null, until: fakeClock().now() + DAY }, 'invalid_request'],
    ['an org that is none', { org: '../acme' }, 'invalid_org_id'],
    ['nobody', { actor: '' }, 'invalid_request'],
  ])('refuses %s, and writes nothing', async (_what, odd, code) => {
    const { billing, repository } = one;
    await expect(billing.grantPlan({ ...grant('pro'), ...odd })).rejects.toMatchObject({ code });
    expect(repository.contents().subscriptions.size).toBe(0);
  });

  it('says how to take a grant back to whoever grants the default tier', async () => {
    await expect(one.billing.grantPlan(grant('free'))).rejects.toThrow(/Pass `tier: null`/);
  });
});

describe('an org with a granted plan', () => {
  it('keeps what it pays for: of both the higher tier counts', async () => {
    const { billing, clock, subscribe } = one;
    await subscribe('business');
    await billing.grantPlan(grant('pro'));
    expect(await billing.plan('acme')).toMatchObject({
      tier: 'business',
      subscription: { provider: 'sandbox' },
    });
    await billing.grantPlan(grant('partner', clock.now() + DAY));
    expect(await billing.plan('acme')).toMatchObject({
      tier: 'partner',
      subscription: { provider: 'manual' },
    });
    clock.advance(DAY);
    expect(await billing.plan('acme')).toMatchObject({
      tier: 'business',
      subscription: { provider: 'sandbox' },
    });
  });

  it('can buy beside it: a checkout opens a page, of the granted tier as well', async () => {
    const { billing, sandbox, grants, subscribe } = one;
    await billing.grantPlan(grant('pro'));
    expect((await billing.upgradeOptions('acme')).map(({ slug }) => slug)).toEqual(['business']);
    for (const tier of ['pro', 'business']) {
      const { subscription, location } = await billing.checkout({ org: 'acme', tier, actor: 'alice' });
      expect(subscription).toMatchObject({ provider: 'sandbox', tier, status: 'pending' });
      expect(location).toContain(sandbox.origin);
    }
    await subscribe('business');
    expect(await billing.plan('acme')).toMatchObject({
      tier: 'business',
      subscription: { provider: 'sandbox' },
    });
    expect(await grants()).toMatchObject([{ tier: 'pro', status: 'active', version: 1 }]);
  });

  it('answers the grant to a checkout of the default tier, which ends what is paid and not the grant', async () => {
    const { billing, sandbox, clock, grants, logged, subscribe } = one;
    const leave = { org: 'acme', tier: 'free', actor: 'alice' };
    await billing.grantPlan(grant('pro', clock.now() + DAY));
    const answer = {
      subscription: { provider: 'manual', externalId: 'grant_acme_1', tier: 'pro', status: 'active' },
      location: null,
    };
    expect(await billing.checkout(leave)).toEqual(answer);
    await subscribe('business');
    expect(await billing.checkout(leave)).toEqual(answer);
    expect(sandbox.contents().subscriptions).toMatchObject([{ status: 'canceled' }]);
    expect(await grants()).toMatchObject([{ status: 'active', version: 1 }]);
    expect(logged).toEqual([]);
    clock.advance(DAY);
    expect((await billing.checkout(leave)).subscription).toMatchObject({
      externalId: 'default',
      tier: 'free',
    });
  });

  it('is warned of beside what the org has at a provider that is gone', async () => {
    const { billing, engine, sandbox, logged, subscribe } = one;
    await subscribe('business');
    await billing.grantPlan(grant('pro'));
    const anew = engine({ provider: { ...sandbox, name: 'another', pageOrigins: [] } });
    await anew.checkout({ org: 'acme', tier: 'free', actor: 'alice' });
    expect(logged).toEqual([expect.stringContaining('provider is not configured here')]);
  });

  it('opens the portal as any other', async () => {
    const { billing, sandbox, grants } = one;
    await billing.grantPlan(grant('pro'));
    const { url } = await billing.portal({ org: 'acme', returnUrl: 'https://app.example.com/' });
    expect(new URL(url).origin).toBe(sandbox.origin);
    expect(await grants()).toMatchObject([{ version: 1 }]);
  });

  it('is left alone by every sync', async () => {
    const { billing, grants, subscribe, sandbox } = one;
    await subscribe('business');
    await billing.grantPlan(grant('pro'));
    const before = await grants();
    for (const request of ['all', { org: 'acme' }] as const)
      expect(await billing.sync(request)).toMatchObject({ checked: 1, changed: 0, unknown: 0, failed: 0 });
    expect(await billing.sync({ subscription: 'grant_acme_1' })).toMatchObject({ unknown: 1 });
    const [customer] = sandbox.contents().customers;
    sandbox.deleteCustomer(customer?.id ?? '');
    await billing.checkout({ org: 'acme', tier: 'business', actor: 'alice' });
    expect(await grants()).toEqual(before);
    expect(await billing.plan('acme')).toMatchObject({ tier: 'pro' });
  });

  it('can be shown what the end of the grant would wind down', async () => {
    const { billing, clock, rows } = one;
    rows.set('acme', 5);
    const until = clock.now() + 30 * DAY;
    await billing.grantPlan(grant('pro', until));
    const preview = await billing.preview({ org: 'acme', tier: 'free', at: until });
    expect(preview.keys).toMatchObject([{ key: 'devices', current: 5, limit: 3, flagged: ['d4', 'd3'] }]);
    expect(preview.timeline).toMatchObject({ warnedAt: until });
    expect((await billing.preview({ org: 'acme', tier: 'pro' })).keys).toEqual([]);
  });
});
