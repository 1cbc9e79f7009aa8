import { runInNewContext } from 'node:vm';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { capacity, metered } from './catalog/quota.ts';
import { createBilling } from './create-billing.ts';
import { memoryBillingRepository } from './memory/memory-billing-repository.ts';
import type { BillingOptions, RowCallbackRequest } from './options.ts';
import type { InventoryRow } from './ports/resource-inventory.ts';
import { sandboxProvider } from './sandbox/sandbox-provider.ts';

function hostOptions(changes: Partial<Record<keyof BillingOptions, unknown>> = {}) {
  const rows: InventoryRow[] = [];
  const clock = { at: Date.parse('2026-04-09T12:00:00Z'), now: () => clock.at };
  const options = {
    quotas: { devices: capacity() },
    tiers: [
      { slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits: { devices: 3 } },
      { slug: 'pro', name: 'Pro', sortOrder: 2, limits: { devices: 50 } },
      { slug: 'secret', name: 'Secret', sortOrder: 3, isPublished: false, limits: { devices: 99 } },
    ],
    inventory: {
      count: async () => rows.length,
      list: async function* () {
        yield* rows;
      },
      find: async ({ id }: { id: string }) => rows.find((row) => row.id === id) ?? null,
    },
    access: () => ({ actor: 'op', allowed: true }),
    provider: null,
    clock,
    ...changes,
  } as BillingOptions<'devices'>;
  return { options, rows, clock };
}

function faultsOf(changes: Partial<Record<keyof BillingOptions, unknown>>): string {
  try {
    createBilling(hostOptions(changes).options);
  } catch (error) {
    expect(error).toMatchObject({ name: 'TollgateError', code: 'invalid_configuration' });
    return (error as Error).message;
  }
  throw new Error('the options were taken');
}

describe('createBilling', () => {
  it.each<[string, Partial<Record<keyof BillingOptions, unknown>>, RegExp]>([
    ['no access hook (T14)', { access: undefined }, /access: is missing/],
    ['a misspelt option', { leaseMS: 5 } as never, /leaseMS: is not an option/],
    [
      'a misspelt option of the lifecycle',
      { lifecycle: { suspend() {}, restore() {}, removes() {} } },
      /lifecycle.removes: is not an option/,
    ],
    [
      'a misspelt option over capacity',
      { overCapacity: { warnMs: 5 } },
      /overCapacity.warnMs: is not an option/,
    ],
    [
      'a lifecycle over capacity that is switched on',
      { overCapacity: true },
      /overCapacity: is not an object/,
    ],
    ['a provider that is none', { provider: false }, /provider: its name undefined is not valid/],
    ['tiers that are no list', { tiers: {} }, /tiers: is not a list/],
    ['a tier that is none', { tiers: [null] }, /null is not a tier/],
    ['a quota that is none', { quotas: { devices: {} } }, /quotas.devices: is not a quota/],
    ['no inventory', { inventory: undefined }, /inventory: is missing/],
    ['half an inventory', { inventory: { count: () => 0 } }, /lacks count, list or find/],
    ['no word on the provider', { provider: undefined }, /provider: is missing/],
    ['a provider with an odd name', { provider: { name: '__proto__' } }, /name "__proto__" is not valid/],
    [
      'half a provider',
      { provider: { name: 'mine', sells: () => true } },
      /provider: lacks createCustomer, .*close/,
    ],
    [
      'a provider named as plans granted by hand are',
      { provider: { ...sandboxProvider({ webhookUrl: null }), name: 'manual' } },
      /name "manual" stands for plans that billing.grantPlan gives. Choose another/,
    ],
    ['a provider without a name', { provider: {} }, /name undefined is not valid/],
    ['an org that is not found by a function', { org: 'acme' }, /org: is not a function/],
    ['half a counter store', { counters: { reserve: () => null } }, /counters: lacks settle, renew/],
    ['a repository that is none', { repository: {} }, /repository: lacks loadOrg, close/],
    ['a provider by its name', { provider: 'stripe' }, /provider: lacks .* or null when nothing is sold/],
    ['a client of Redis for counters', { counters: { get() {} } }, /counters: lacks .*redisCounterStore\(/],
    [
      'a pool of Postgres for a repository',
      { repository: { query() {} } },
      /repository: lacks .*postgresRepository\(/,
    ],
    [
      'a metered key without periods',
      { quotas: { opens: metered(undefined as never) } },
      /opens: has no period/,
    ],
    ['a clock that is a function', { clock: () => 0 }, /clock: lacks now/],
    ['a logger that is a function', { logger: () => undefined }, /logger: lacks debug, info, warn, error/],
    ['no telemetry but null', { telemetry: null }, /telemetry: lacks count/],
    ['a status that is none', { deniedStatus: 200 }, /deniedStatus/],
    ['an unknown outage policy', { onStoreError: 'ignore' }, /onStoreError/],
    [
      'a body limit that is no limit (T8)',
      { maxBodyBytes: Number.POSITIVE_INFINITY },
      /maxBodyBytes: must be a whole number/,
    ],
    ['a body limit that lets nothing through (T8)', { maxBodyBytes: 0 }, /maxBodyBytes: .* from 1 to /],
    ['a body limit that limits nothing (T8)', { maxBodyBytes: 2 ** 31 }, /maxBodyBytes: must be a whole/],
    ['a lease of a string', { leaseMs: '30s' }, /leaseMs: must be a whole number/],
    ['a return origin with a path', { returnOrigins: ['https://app.example.com/x'] }, /is not an origin/],
    ['a return origin over http', { returnOrigins: ['http://app.example.com'] }, /is not an origin/],
    ['an unknown default policy', { overCapacity: { defaultPolicy: 'random' } }, /defaultPolicy/],
    ['an org pattern with memory', { orgIdPattern: /^a$/g }, /flag g or y/],
    ['a base path with a slash at the end', { basePath: '/api/' }, /basePath/],
  ])('names %s, with the cure', (_what, changes, fault) => {
    expect(faultsOf(changes)).toMatch(fault);
  });

  it('names all faults at once', () => {
    const message = faultsOf({ access: undefined, leaseMs: 0, tiers: [], returnOrigins: ['x'] });
    expect(message).toMatch(/^The billing options have 4 faults:/);
    expect(message.split('\n')).toHaveLength(5);
  });

  it('warns in production of what is kept in memory, and says what to pass in its place', () => {
    vi.stubEnv('NODE_ENV', 'production');
    const warn = vi.fn();
    const logger = { debug() {}, info() {}, warn, error() {} };
    const repository = memoryBillingRepository();
    createBilling(hostOptions({ logger, counters: undefined, repository }).options);
    expect(warn.mock.calls).toEqual([
      [
        expect.stringMatching(/redisCounterStore.*postgresRepository/),
        { counters: 'memory', repository: 'given' },
      ],
    ]);
  });

  it('says of an org id that is a number, as databases have them, that it must be a text', async () => {
    const billing = createBilling(hostOptions({}).options);
    await expect(billing.plan(42 as never)).rejects.toMatchObject({
      code: 'invalid_org_id',
      message: 'The org id must be a text.',
    });
  });

  it('takes an org pattern for the whole id, anchored or not (T15)', async () => {
    const ofAnotherRealm: RegExp = runInNewContext('/[a-z]+/');
    for (const orgIdPattern of [/[a-z]+/, /^[a-z]+$/, /a|[a-z]{2,}/, ofAnotherRealm]) {
      const billing = createBilling(hostOptions({ orgIdPattern }).options);
      await expect(billing.plan('acme')).resolves.toMatchObject({ org: 'acme' });
      for (const org of ['../acme', 'acme/x', 'ac me', 'a1']) {
        await expect(billing.plan(org), `${orgIdPattern} ${org}`).rejects.toMatchObject({
          code: 'invalid_org_id',
        });
      }
    }
  });

  it('grants a tier for the statuses that the host names, for active and trialing by default (W9)', async () => {
    const repository = memoryBillingRepository();
    const grantedBy = async (status: string, changes: Partial<BillingOptions> = {}) => {
      const org = status.replace('_', '-');
      const subscription = {
        provider: 'sandbox',
        id: org,
        org,
        customerId: org,
        tier: 'pro',
        status,
        quantity: 1,
        interval: null,
        createdAt: 0,
        currentPeriodEndsAt: null,
        trialEndsAt: null,
        cancelsAt: null,
        scheduledTier: null,
        scheduledAt: null,
        pastDueAt: null,
        endedAt: null,
      };
      await repository.saveSubscription({ subscription, expectedVersion: null, audit: null });
      return (await createBilling(hostOptions({ repository, ...changes }).options).plan(org)).tier;
    };
    const grantingStatuses = ['active', 'paused'];
    for (const [status, byDefault, asNamed] of [
      ['active', 'pro', 'pro'],
      ['trialing', 'pro', 'free'],
      ['paused', 'free', 'pro'],
      ['unpaid', 'free', 'free'],
    ] as const) {
      expect(await grantedBy(status), status).toBe(byDefault);
      expect(await grantedBy(status, { grantingStatuses }), `${status} of ${grantingStatuses}`).toBe(asNamed);
    }
  });

  it('takes http return origins on loopback hosts', () => {
    const { options } = hostOptions({
      returnOrigins: ['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000'],
    });
    expect(() => createBilling(options)).not.toThrow();
  });
});

const throwsNow = () => {
  throw new Error('the log is full');
};
const rejectsLater = () => Promise.reject(new Error('the log is full'));
const loggerOf = (log: () => unknown) => ({ debug: log, info: log, warn: log, error: log });

describe('an engine', () => {
  it('goes on where its logger throws: counts late, sweeps, writes metered use, and closes what it was given', async () => {
    const logger = loggerOf(throwsNow);
    const repository = memoryBillingRepository();
    const { claimSweeps, saveUsage, close } = repository;
    let claims = 0;
    let saves = 0;
    let isClosed = false;
    repository.claimSweeps = async (request) => {
      claims += 1;
      return claims < 3 ? Promise.reject(new Error('away')) : claimSweeps(request);
    };
    repository.saveUsage = async (snapshots) => {
      saves += 1;
      return saves < 3 ? Promise.reject(new Error('away')) : saveUsage(snapshots);
    };
    repository.close = async () => {
      isClosed = true;
      await close();
    };
    const limits = { devices: 3, opens: { day: 3 } };
    const { options } = hostOptions({
      quotas: { devices: capacity(), opens: metered({ periods: ['day'] }) },
      tiers: [{ slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits }],
      logger,
      repository,
      snapshotEveryMs: 1,
      inventoryTimeoutMs: 1,
    });
    let answer = (_count: number) => {};
    options.inventory.count = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const billing = createBilling(options as BillingOptions<'devices' | 'opens'>);
    const reserve = (key: 'devices' | 'opens') => billing.reserve({ org: 'acme', charges: [{ key }] });
    await expect(reserve('devices')).rejects.toMatchObject({ code: 'quota_unavailable' });
    answer(0);
    const opened = await reserve('opens');
    if (opened.admitted) await opened.reservation.commit();
    billing.startSweeper({ everyMs: 1 });
    await expect.poll(() => Math.min(claims, saves)).toBeGreaterThan(2);
    await billing.close();
    expect(isClosed).toBe(true);
  });

  it.each([
    ['telemetry throws', { telemetry: { count: throwsNow } }],
    ['logger answers promises that reject', { logger: loggerOf(rejectsLater) }],
  ])(
    'goes on where its %s: refuses, writes metered use, and closes what it was given',
    async (_what, bad) => {
      const unhandled = vi.fn();
      process.on('unhandledRejection', unhandled);
      onTestFinished(() => void process.off('unhandledRejection', unhandled));
      const repository = memoryBillingRepository();
      const saveUsage = vi.spyOn(repository, 'saveUsage').mockRejectedValueOnce(new Error('away'));
      const close = vi.spyOn(repository, 'close');
      const limits = { devices: 3, opens: { day: 1 } };
      const { options } = hostOptions({
        quotas: { devices: capacity(), opens: metered({ periods: ['day'] }) },
        tiers: [{ slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits }],
        repository,
        snapshotEveryMs: 1,
        ...bad,
      });
      const billing = createBilling(options as BillingOptions<'devices' | 'opens'>);
      const reserve = () => billing.reserve({ org: 'acme', charges: [{ key: 'opens' }] });
      const opened = await reserve();
      if (opened.admitted) await opened.reservation.commit();
      expect(await reserve()).toMatchObject({ admitted: false });
      await expect.poll(() => saveUsage.mock.calls.length).toBeGreaterThan(1);
      await billing.close();
      expect(close).toHaveBeenCalledOnce();
      expect(unhandled).not.toHaveBeenCalled();
    },
  );

  it('offers published tiers above the own one', async () => {
    const billing = createBilling(hostOptions().options);
    expect(billing.plans().map((tier) => tier.slug)).toEqual(['free', 'pro']);
    expect((await billing.upgradeOptions('acme')).map((tier) => tier.slug)).toEqual(['pro']);
  });

  it('Q12: applies an override at once in its own process and within the time-to-live in another, and ends it by itself', async () => {
    const first = hostOptions({ limitsTtlMs: 5_000 });
    const billing = createBilling(first.options);
    const limit = async () => (await billing.usage({ org: 'acme' })).items[0]?.limit;
    expect(await limit()).toEqual({ value: 3, source: { kind: 'default' } });
    const set = await billing.setOverride({
      subjectType: 'org',
      subjectId: 'acme',
      key: 'devices',
      limit: 12,
      expiresAt: first.clock.at + 1_000,
      actor: 'op',
    });
    expect(await limit()).toEqual({ value: 12, source: { kind: 'override', id: set.id } });
    first.clock.at += 999;
    expect((await limit())?.value).toBe(12);
    first.clock.at += 1;
    expect((await limit())?.value).toBe(3);
  });

  it('shows over capacity in the usage report exactly while it lasts', async () => {
    const { options, rows, clock } = hostOptions();
    const billing = createBilling(options);
    for (let n = 0; n < 5; n++) rows.push({ id: `d${n}`, createdAt: n, lastUsedAt: null });
    const { degradation } = await billing.usage({ org: 'acme' });
    expect(degradation).toMatchObject({
      stage: 'warned',
      overages: [{ key: 'devices', current: 5, limit: 3, excess: 2 }],
    });
    rows.length = 3;
    clock.at += 10_001;
    expect((await billing.usage({ org: 'acme' })).degradation).toBeNull();
  });

  it('foretells by the rows of now, whatever was counted a moment ago', async () => {
    const { options, rows } = hostOptions();
    const billing = createBilling(options);
    await billing.usage({ org: 'acme' });
    for (let n = 0; n < 5; n++) rows.push({ id: `d${n}`, createdAt: n, lastUsedAt: null });
    const { keys } = await billing.preview({ org: 'acme', tier: 'free' });
    expect(keys).toMatchObject([{ key: 'devices', current: 5, flagged: ['d4', 'd3'] }]);
  });

  it("calls a lifecycle's functions on it: it may be an object of a class", async () => {
    class Switches {
      readonly calls: string[] = [];
      async suspend({ id }: RowCallbackRequest) {
        this.calls.push(`suspend ${id}`);
      }
      async restore({ id }: RowCallbackRequest) {
        this.calls.push(`restore ${id}`);
      }
      async remove({ id }: RowCallbackRequest) {
        this.calls.push(`remove ${id}`);
      }
    }
    const lifecycle = new Switches();
    const overCapacity = { warnedMs: 1_000, degradedMs: 60_000_000 };
    const { options, rows, clock } = hostOptions({ overCapacity, lifecycle });
    const billing = createBilling(options);
    for (let n = 0; n < 4; n++) rows.push({ id: `d${n}`, createdAt: n, lastUsedAt: null });
    const sweepFor = async (ms: number) => {
      for (const end = clock.at + ms; clock.at < end; clock.at += 700_000) {
        await billing.sweep({ orgs: ['acme'] });
      }
    };
    await sweepFor(5_000_000);
    await billing.setOverride({
      subjectType: 'org',
      subjectId: 'acme',
      key: 'devices',
      limit: 4,
      actor: 'op',
    });
    await sweepFor(700_000);
    await billing.setOverride({
      subjectType: 'org',
      subjectId: 'acme',
      key: 'devices',
      limit: 3,
      actor: 'op',
    });
    await sweepFor(70_000_000);
    expect(lifecycle.calls).toEqual(['suspend d3', 'restore d3', 'suspend d3', 'remove d3']);
  });

  it('tells of changed subscriptions and of invoices, and looks whether their org is within its limits now', async () => {
    const { options, rows, clock } = hostOptions();
    const provider = sandboxProvider({ webhookUrl: null, clock });
    const billing = createBilling({ ...options, provider });
    onTestFinished(() => billing.close());
    const heard: unknown[] = [];
    billing.on('subscription.changed', ({ org, before, after }) => {
      heard.push([org, before?.status, after.status]);
    });
    for (const name of ['invoice.paid', 'invoice.failed', 'capacity.cleared'] as const)
      billing.on(name, ({ org }) => void heard.push([org, name]));
    let delivered = 0;
    const deliver = async () => {
      for (const { id } of provider.events().slice(delivered)) {
        const { bytes, headers } = provider.signed(id);
        await billing.webhook({ provider: 'sandbox', bytes, header: (name) => headers[name] });
        delivered += 1;
      }
    };
    for (let n = 0; n < 5; n++) rows.push({ id: `d${n}`, createdAt: n, lastUsedAt: null });
    await billing.degradation('acme');
    const { subscription } = await billing.checkout({ org: 'acme', tier: 'pro', actor: 'op' });
    const { subscriptionId } = provider.confirm(subscription.externalId);
    await deliver();
    await expect.poll(() => heard).toContainEqual(['acme', 'capacity.cleared']);
    expect(heard).toContainEqual(['acme', undefined, 'active']);
    expect(heard).toContainEqual(['acme', 'invoice.paid']);
    heard.length = 0;
    provider.setStatus(subscriptionId ?? '', 'past_due');
    await deliver();
    expect(heard).toEqual([
      ['acme', 'active', 'past_due'],
      ['acme', 'invoice.failed'],
    ]);
    expect(await billing.plan('acme')).toMatchObject({ tier: 'pro' });
    clock.at += 15 * 86_400_000;
    expect(await billing.plan('acme')).toMatchObject({ tier: 'free' });
  });

  it('looks at the org of an override, and at none where the override is for somebody else', async () => {
    const { options } = hostOptions({ subjectTypes: ['org', 'user'] });
    const counted: string[] = [];
    options.inventory.count = async ({ org }) => {
      counted.push(org);
      return 0;
    };
    const billing = createBilling(options);
    const limit = { key: 'devices', limit: 9, actor: 'op' } as const;
    await billing.setOverride({ subjectType: 'user', subjectId: 'ada', ...limit });
    await billing.setOverride({ subjectType: 'org', subjectId: 'acme', ...limit });
    await billing.close();
    expect(new Set(counted)).toEqual(new Set(['acme']));
  });

  it('reads the audit trail page by page: 100 entries by default, of one org or of all', async () => {
    const repository = memoryBillingRepository();
    const listAudit = vi.spyOn(repository, 'listAudit');
    const billing = createBilling(hostOptions({ repository }).options);
    await billing.audit();
    await billing.audit({ org: 'acme', before: 7, limit: 1_001 });
    expect(listAudit.mock.calls).toEqual([
      [{ org: null, before: null, limit: 100 }],
      [{ org: 'acme', before: 7, limit: 1_000 }],
    ]);
    await expect(billing.audit({ org: 'a/b' })).rejects.toMatchObject({ code: 'invalid_org_id' });
  });

  it('recounts what it is asked to and answers the counts', async () => {
    const limits = { devices: 3, calls: 9 };
    const { options, rows } = hostOptions({
      quotas: { devices: capacity(), calls: metered({ periods: ['per_session'] }) },
      tiers: [{ slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits }],
    });
    const billing = createBilling(options);
    rows.push({ id: 'd1', createdAt: 1, lastUsedAt: null });
    expect([...(await billing.recount({ org: 'acme' }))]).toEqual([['devices', 1]]);
    const { items } = await billing.usage({ org: 'acme', session: 's1' });
    expect(items.map(({ window, current }) => [window.label, current])).toEqual([
      ['lifetime', 1],
      ['session:s1', 0],
    ]);
    await expect(billing.recount({ org: 'a/b' })).rejects.toMatchObject({ code: 'invalid_org_id' });
    await expect(billing.recount({ org: 'acme', keys: ['nothing' as 'devices'] })).rejects.toMatchObject({
      code: 'unknown_quota_key',
    });
  });

  it.each([
    { limit: Number.NaN },
    { limit: -1 },
    { limit: 0 },
    { limit: 1.5 },
    { before: Number.NaN },
    { before: 0.5 },
  ])('reads no page of the audit trail that is none: %j', async (page) => {
    const billing = createBilling(hostOptions().options);
    await expect(billing.audit(page)).rejects.toMatchObject({ code: 'invalid_request', status: 400 });
    await expect(billing.audit({ limit: 5_000, before: 1 })).resolves.toEqual([]);
  });

  it('changes nothing for somebody without a name: the audit trail needs one', async () => {
    const billing = createBilling(hostOptions({ provider: sandboxProvider({ webhookUrl: null }) }).options);
    const nobody = { org: 'acme', subjectType: 'org', subjectId: 'acme', key: 'devices', limit: 5 } as never;
    const changes = [
      billing.setOverride(nobody),
      billing.setSelectionPolicy({ ...(nobody as object), policy: 'manual' } as never),
      billing.setKeep({ ...(nobody as object), resource: 'devices', id: 'd1', keep: true } as never),
      billing.checkout({ ...(nobody as object), tier: 'pro' } as never),
    ];
    for (const change of changes) await expect(change).rejects.toMatchObject({ code: 'invalid_request' });
    expect(await billing.audit()).toEqual([]);
    await billing.close();
  });

  it('sells nothing without a provider, and says so', async () => {
    const billing = createBilling(hostOptions().options);
    await expect(billing.checkout({ org: 'acme', tier: 'pro', actor: 'me' })).rejects.toMatchObject({
      code: 'provider_not_configured',
    });
  });
});
