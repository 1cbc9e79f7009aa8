import type { BillingInterval } from '@tollgate/core';
import type { TierPrices } from './stripe-options.ts';

/** Which price sells which tier, and which tier a price grants. */
export interface PriceTable {
  sells(tier: string): boolean;
  /** The price of a tier for the interval asked for, or null. Without an interval: the preferred one's, else the other's. */
  priceOf(
    tier: string,
    interval: BillingInterval | undefined,
    preferred: BillingInterval | null,
  ): string | null;
  /** The tier that a price grants; null for a price of no tier. */
  tierOf(price: string): string | null;
}

const PRICE_ID = /^[\x21-\x7e]{1,255}$/;
/** The form of generated product ids. Ids of old plans, which are prices too, were chosen by hand and may also begin with `prod_`. */
const PRODUCT_ID = /^prod_[a-z]*[A-Z0-9][A-Za-z0-9]*$/;

/** Checks the `prices` option; each fault is added to `faults`, with its cure. */
export function createPriceTable(
  prices: Readonly<Record<string, TierPrices>>,
  standard: BillingInterval,
  faults: string[],
): PriceTable {
  const tiers = new Map<string, Partial<Record<BillingInterval, string>>>();
  const grants = new Map<string, string>();

  const grant = (price: unknown, tier: string) => {
    if (typeof price !== 'string' || !PRICE_ID.test(price)) {
      faults.push(
        `prices: ${tier} has a price that is no id. Copy it from Stripe; it looks like price_1ABC.`,
      );
    } else if (PRODUCT_ID.test(price)) {
      faults.push(
        `prices: ${tier} has the id of a product. Copy the id of one of its prices; it looks like price_1ABC.`,
      );
    } else if (grants.has(price)) {
      faults.push(
        `prices: ${price} stands for ${grants.get(price)} and for ${tier}. A price can grant one tier only.`,
      );
    } else grants.set(price, tier);
  };

  for (const [tier, given] of Object.entries(prices ?? {})) {
    const { month, year, legacy = [] } = typeof given === 'string' ? { month: given } : (given ?? {});
    if (!Array.isArray(legacy)) {
      faults.push(`prices: ${tier} has a \`legacy\` that is no list. Put its price ids into brackets.`);
      continue;
    }
    if (month === undefined && year === undefined && legacy.length === 0) {
      faults.push(`prices: ${tier} has no price. Give it one, or leave the tier out.`);
      continue;
    }
    for (const price of [month, year, ...legacy]) if (price !== undefined) grant(price, tier);
    tiers.set(tier, { ...(month === undefined ? {} : { month }), ...(year === undefined ? {} : { year }) });
  }
  if (tiers.size === 0) faults.push('prices: names no tier. Map each tier that is sold to its price ids.');

  return {
    // One with legacy prices only is granted, not sold.
    sells: (tier) => Object.keys(tiers.get(tier) ?? {}).length > 0,
    priceOf(tier, interval, preferred) {
      const sold = tiers.get(tier);
      if (interval !== undefined) return sold?.[interval] ?? null;
      return sold?.[preferred ?? standard] ?? sold?.month ?? sold?.year ?? null;
    },
    tierOf: (price) => grants.get(price) ?? null,
  };
}
