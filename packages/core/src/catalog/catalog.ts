import type { QuotaDefinition, QuotaPeriod } from './quota.ts';
import type { Tier } from './tier.ts';

/** The host's quota keys and tiers, checked. */
export interface Catalog {
  /** In the order of the host's registry. */
  readonly keys: readonly string[];
  quota(key: string): QuotaDefinition | undefined;
  /** All tiers, by sort order, then slug. */
  readonly tiers: readonly Tier[];
  tier(slug: string): Tier | undefined;
  readonly defaultTier: Tier;
  /**
   * A tier's limit for a key in a period: a number, null for unlimited, undefined if the tier lists the key in other periods only.
   * A key that the tier does not list at all has limit 0 in each of its periods.
   */
  limit(tier: Tier, key: string, period: QuotaPeriod): number | null | undefined;
}
