import type { QuotaPeriod } from '../catalog/quota.ts';
import type { Tier } from '../catalog/tier.ts';
import type { Customer, StoredSubscription } from '../ports/billing-repository.ts';
import type { EffectiveLimit } from '../quota/types.ts';

/** What an org has and may, as of the last read of the repository. */
export interface OrgView {
  readonly org: string;
  /** The tier the limits come from, at `now`. */
  tier(now: number): { readonly tier: Tier; readonly isDefault: boolean };
  /** The subscription that grants the tier, else the live one that grants nothing just now, else null. */
  subscription(now: number): StoredSubscription | null;
  readonly subscriptions: readonly StoredSubscription[];
  readonly customers: readonly Customer[];
  /** The limit in force at `now`; null for a period in which neither tier nor override limits the key. */
  limit(key: string, period: QuotaPeriod, now: number): EffectiveLimit | null;
}

/** Views of orgs, cached for `limitsTtlMs`. */
export interface OrgViews {
  /** A cached view at once, else a promise of a fresh one. @throws TollgateError `repository_unavailable` */
  of(org: string): OrgView | Promise<OrgView>;
  /** A view read now, past the cache. */
  fresh(org: string): Promise<OrgView>;
  /** Forgets the org's view: after a change made in this process. */
  drop(org: string): void;
}
