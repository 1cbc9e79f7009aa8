import type { Billing } from './billing-interface.ts';
import { defineCatalog } from './catalog/define-catalog.ts';
import { checkNames, checkParts } from './check-parts.ts';
import { askedWith, checkRequest } from './check-request.ts';
import { noTelemetry } from './defaults/no-telemetry.ts';
import { stderrLogger } from './defaults/stderr-logger.ts';
import { systemClock } from './defaults/system-clock.ts';
import { ulidIds } from './defaults/ulid-ids.ts';
import { unfailing } from './defaults/unfailing.ts';
import { createDegradation } from './degradation/degradation.ts';
import { TollgateError } from './errors/tollgate-error.ts';
import { bindEngine } from './http/engine.ts';
import { memoryBillingRepository } from './memory/memory-billing-repository.ts';
import { memoryCounterStore } from './memory/memory-counter-store.ts';
import { createNotices } from './notices/notices.ts';
import { createUsageThresholds } from './notices/usage-thresholds.ts';
import type { BillingOptions } from './options.ts';
import { GRANTED_BY_HAND } from './org/granted-plan.ts';
import { checkOrgId } from './org/org-id.ts';
import { createOrgViews } from './org/org-views.ts';
import { createOverrides } from './overrides/overrides.ts';
import { createGate } from './quota/gate.ts';
import { resolveSettings } from './resolve-settings.ts';
import { createSubscriptions } from './subscription/subscriptions.ts';
import type { OrgPlan } from './subscription/types.ts';
import type { Wiring } from './wiring.ts';
import { whileClosing } from './within.ts';
import { workWith } from './working-parts.ts';

const MAX_AUDIT_PAGE = 1_000;

/**
 * Creates the engine. All options are checked at once.
 *
 * ```ts
 * const billing = createBilling({ quotas, tiers, inventory, access, provider });
 * app.use(billingRouter(billing));
 * ```
 *
 * @throws TollgateError `invalid_configuration`, whose message names every fault and its cure
 */
export function createBilling<K extends string>(options: BillingOptions<K>): Billing<K> {
  const wiring = wire(options as BillingOptions);
  const { catalog, settings, clock, counters, provider, repository } = wiring;
  const orgViews = createOrgViews(wiring);
  const notices = createNotices(wiring);
  const thresholds = createUsageThresholds(wiring, notices);
  const gate = createGate(wiring, orgViews, thresholds.observe);
  const overrides = createOverrides(wiring, orgViews);
  const degradation = createDegradation(wiring, {
    usage: gate.usage.report,
    orgViews,
    notices,
    sync: async (org) => (provider === null ? undefined : await subscriptions.sync({ org })),
  });
  const subscriptions = createSubscriptions(wiring, orgViews, {
    onSubscriptionChanged(before, after) {
      notices.tell('subscription.changed', { org: after.org, before, after });
      degradation.reportSoon(after.org);
    },
    onInvoice({ kind, ...invoice }) {
      notices.tell(kind === 'invoice_paid' ? 'invoice.paid' : 'invoice.failed', invoice);
    },
  });
  const releaseParts = workWith({ counters, provider, repository }, wiring.logger);
  const known = async (org: string) => {
    const view = await orgViews.of(org);
    return { view, now: clock.now() };
  };
  async function planOf(org: string): Promise<OrgPlan> {
    const { view, now } = await known(org);
    const { tier, isDefault } = view.tier(now);
    return { org, tier: tier.slug, isDefault, subscription: view.subscription(now) };
  }

  async function finish(): Promise<void> {
    const startedAt = performance.now();
    // Writing metered use does not wait for a sweep: it would be lost if the process were killed before.
    await Promise.all([gate.settleUp(startedAt), whileClosing(degradation.close(), startedAt)]);
    // Once more, for what has ended meanwhile.
    await gate.close(startedAt);
    await thresholds.close();
  }

  const billing: Billing = {
    reserve: gate.reserve,
    resume: gate.resume,
    record: askedWith(gate.record),
    release: askedWith(gate.release),
    recount: askedWith(async ({ org, keys }) => {
      checkOrgId(org, settings.orgIdPattern);
      return await gate.recountRows(
        org,
        keys ?? catalog.keys.filter((key) => catalog.quota(key)?.kind === 'capacity'),
      );
    }),
    usage: askedWith(async ({ org, session }) => {
      const report = await gate.usage.report(org, session === undefined ? {} : { session });
      const status = await degradation.report(org, report);
      return { ...report, degradation: status.overCapacity ? status : null };
    }),
    plans: () => catalog.tiers.filter((tier) => tier.isPublished),
    plan: planOf,
    async upgradeOptions(org) {
      const { view, now } = await known(org);
      const { tier: own } = view.tier(now);
      return catalog.tiers.filter((tier) => tier.isPublished && tier.sortOrder > own.sortOrder);
    },
    checkout: askedWith(subscriptions.checkout),
    portal: askedWith(subscriptions.portal),
    webhook: askedWith(subscriptions.webhook),
    async sync(request) {
      if (request !== 'all') checkRequest(request);
      return await subscriptions.sync(request);
    },
    linkCustomer: askedWith(subscriptions.linkCustomer),
    grantPlan: askedWith(async (request) => {
      await subscriptions.grantPlan(request);
      return await planOf(request.org);
    }),
    setOverride: askedWith(async (request) => {
      const override = await overrides.set(request);
      if (override.subjectType === 'org') degradation.reportSoon(override.subjectId);
      return override;
    }),
    async overrides(request = {}) {
      checkRequest(request);
      return await overrides.list(request);
    },
    async audit(request = {}) {
      checkRequest(request);
      const { org, before, limit = 100 } = request;
      if (org !== undefined) checkOrgId(org, settings.orgIdPattern);
      if (![limit, before ?? 1].every((number) => Number.isSafeInteger(number) && number >= 1))
        throw new TollgateError('invalid_request');
      return await repository.listAudit({
        org: org ?? null,
        before: before ?? null,
        limit: Math.min(limit, MAX_AUDIT_PAGE),
      });
    },
    degradation: (org) => degradation.report(org),
    setSelectionPolicy: askedWith(degradation.setSelectionPolicy),
    setKeep: askedWith(degradation.setKeep),
    standing: degradation.standing,
    preview: askedWith(degradation.preview),
    async sweep(request = {}) {
      checkRequest(request);
      return await degradation.sweep(request);
    },
    startSweeper(options) {
      checkRequest(options);
      return degradation.startSweeper(options);
    },
    on: notices.on,
    close: () => releaseParts(finish),
  };
  return bindEngine(billing, wiring) as Billing<K>;
}

function wire(options: BillingOptions): Wiring {
  const faults: string[] = [];
  if (options === null || typeof options !== 'object') {
    throw new TollgateError('invalid_configuration', {
      message: 'createBilling needs an object of options.',
    });
  }
  const catalog = defineCatalog(options.quotas ?? {}, options.tiers ?? [], faults);
  const settings = resolveSettings(options, faults);
  checkNames(options, faults);
  checkParts(options, faults);
  const { inventory, access } = options;
  if (
    typeof inventory?.count !== 'function' ||
    typeof inventory.list !== 'function' ||
    typeof inventory.find !== 'function'
  ) {
    faults.push(
      'inventory: is missing or lacks count, list or find. Implement all three on your own tables.',
    );
  }
  if (typeof access !== 'function') {
    faults.push(
      'access: is missing. Pass a function that says who calls and whether they may; without it nobody could be refused.',
    );
  }
  if (options.provider === undefined) {
    faults.push(
      'provider: is missing. Pass a payment provider such as sandboxProvider(...), or null when nothing is sold here.',
    );
  }
  if (options.provider != null && !/^[a-z0-9][a-z0-9_-]{0,31}$/.test(options.provider.name ?? '')) {
    faults.push(
      `provider: its name ${JSON.stringify(options.provider.name)} is not valid. Use 1 to 32 of a-z, 0-9, _ and -, and begin with a letter or a digit.`,
    );
  }
  if (options.provider?.name === GRANTED_BY_HAND) {
    faults.push(
      `provider: its name "${GRANTED_BY_HAND}" stands for plans that billing.grantPlan gives. Choose another.`,
    );
  }
  if (faults.length > 0) throw configurationError(faults);

  const logger = unfailing(options.logger ?? stderrLogger, ['debug', 'info', 'warn', 'error']);
  const isAlone = options.counters === undefined || options.repository === undefined;
  if (isAlone && process.env['NODE_ENV'] === 'production') {
    logger.warn(
      'counters or billing state are in memory: limits hold in this process only and are lost with it. ' +
        'Pass the options that say `memory` here, such as redisCounterStore of @tollgate/redis and postgresRepository of @tollgate/postgres.',
      {
        counters: options.counters === undefined ? 'memory' : 'given',
        repository: options.repository === undefined ? 'memory' : 'given',
      },
    );
  }
  const clock = options.clock ?? systemClock;
  return {
    catalog,
    settings,
    counters: options.counters ?? memoryCounterStore({ clock }),
    repository: options.repository ?? memoryBillingRepository({ clock }),
    inventory,
    access,
    provider: options.provider,
    clock,
    ids: options.ids ?? ulidIds(),
    logger,
    telemetry: unfailing(options.telemetry ?? noTelemetry, ['count']),
  };
}

function configurationError(faults: readonly string[]): TollgateError {
  const list = faults.map((fault) => `  - ${fault}`).join('\n');
  return new TollgateError('invalid_configuration', {
    message: `The billing options have ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}:\n${list}`,
  });
}
