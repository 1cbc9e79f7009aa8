import type { QuotaPeriod } from '../catalog/quota.ts';
import type { Tier } from '../catalog/tier.ts';
import { keepNewest } from '../keep-newest.ts';
import type { OrgBilling, StoredSubscription } from '../ports/billing-repository.ts';
import type { Plans } from '../quota/planner.ts';
import type { EffectiveLimit } from '../quota/types.ts';
import type { Wiring } from '../wiring.ts';
import { type Entitlement, entitlementOf, isLive } from './entitlement.ts';
import { resolveLimit } from './limits.ts';
import { nextChangeAt } from './next-change.ts';
import { checkOrgId } from './org-id.ts';

/** An org's subscriptions and limits, as of the last read of the repository. */
export interface OrgView {
  readonly org: string;
  /** The tier the limits come from, at `now`. */
  tier(now: number): { readonly tier: Tier; readonly isDefault: boolean };
  /** The subscription that grants the tier, else a live one that grants nothing at present, else null. */
  subscription(now: number): StoredSubscription | null;
  /** The instant, epoch ms, until which nothing in this view changes by time alone; Infinity for never. */
  steadyUntil(now: number): number;
  /** The limit in force at `now`; null for a period in which neither tier nor override limits the key. */
  limit(key: string, period: QuotaPeriod, now: number): EffectiveLimit | null;
  /** The charges planned for its creates: owned by the planner, kept as long as the view. */
  readonly plans: Plans;
}

/** Views of orgs, cached for `limitsTtlMs`. */
export interface OrgViews {
  /** The cached view, else a promise of a fresh one. @throws TollgateError `invalid_org_id`; `repository_unavailable` in the promise */
  of(org: string): OrgView | Promise<OrgView>;
  /** A view read from the repository now, bypassing the cache. */
  fresh(org: string): Promise<OrgView>;
  /** Drops the org's cached view, after a change made in this process. */
  drop(org: string): void;
}

/** Most views kept; beyond it, the one loaded longest ago is evicted. */
const MAX_VIEWS = 10_000;

/** Caches what the repository stores of an org. Concurrent first reads of an org share one load; a failed load is not cached. */
export function createOrgViews(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'clock' | 'logger'>,
): OrgViews {
  const { catalog, repository, settings, clock, logger } = wiring;
  const views = new Map<string, { readonly view: OrgView; readonly loadedAt: number }>();
  const loads = new Map<string, Promise<OrgView>>();
  const missingTiers = new Set<string>();

  function load(org: string): Promise<OrgView> {
    const loadedAt = clock.now();
    const promise = repository.loadOrg(org).then((billing) => {
      for (const subscription of billing.subscriptions)
        if (isLive(subscription, loadedAt)) checkTier(subscription);
      const view = viewOf(org, billing, wiring);
      // If the view was dropped during the load, the result is not cached: it may predate the change.
      if (loads.get(org) === promise) keepNewest(views, org, { view, loadedAt }, MAX_VIEWS);
      return view;
    });
    loads.set(org, promise);
    const forget = () => {
      if (loads.get(org) === promise) loads.delete(org);
    };
    promise.then(forget, forget);
    return promise;
  }

  /** A tier that was removed, renamed or misspelt shows nowhere else, and a customer pays for it. Logged once per process. */
  function checkTier({ org, tier, provider, id }: StoredSubscription): void {
    if (tier === null || catalog.tier(tier) !== undefined || missingTiers.has(tier)) return;
    missingTiers.add(tier);
    logger.warn('Subscriptions of a tier that is not in the catalog grant nothing. Put the tier back.', {
      tier,
      org,
      provider,
      subscription: id,
    });
  }

  return {
    of(org) {
      const known = views.get(org);
      if (known !== undefined) {
        const ageMs = clock.now() - known.loadedAt;
        // A clock that was set back must not extend the life of a view.
        if (ageMs >= 0 && ageMs < settings.limitsTtlMs) return known.view;
      }
      return loads.get(org) ?? load(checkOrgId(org, settings.orgIdPattern));
    },
    fresh: load,
    drop(org) {
      views.delete(org);
      loads.delete(org);
    },
  };
}

function viewOf(
  org: string,
  billing: OrgBilling,
  { catalog, settings }: Pick<Wiring, 'catalog' | 'settings'>,
): OrgView {
  // Every create asks several times for the same instant.
  let last: { readonly at: number; readonly is: Entitlement<StoredSubscription> } | null = null;
  const entitlement = (now: number) => {
    if (last?.at !== now) {
      last = { at: now, is: entitlementOf(billing.subscriptions, catalog, settings, now) };
    }
    return last.is;
  };
  return {
    org,
    tier: entitlement,
    subscription: (now) => entitlement(now).subscription,
    steadyUntil: (now) => nextChangeAt(billing, now, settings.pastDueGraceMs) ?? Number.POSITIVE_INFINITY,
    limit: (key, period, now) => resolveLimit(key, period, billing.overrides, entitlement(now), catalog, now),
    plans: new Map(),
  };
}
