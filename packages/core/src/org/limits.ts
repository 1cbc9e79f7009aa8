import type { Catalog } from '../catalog/catalog.ts';
import type { QuotaPeriod } from '../catalog/quota.ts';
import type { Tier } from '../catalog/tier.ts';
import type { Override } from '../ports/billing-repository.ts';
import type { EffectiveLimit } from '../quota/types.ts';

/** Whether an override is in force at `now` (epoch ms). It ends at `expiresAt` itself. */
export function isOverrideLive(override: Override, now: number): boolean {
  return override.expiresAt === null || now < override.expiresAt;
}

/**
 * The limit of a key in a period: a live override for that very period, else a live one for all the key's periods, else the tier's.
 * Null when neither limits the key in this period.
 */
export function resolveLimit(
  key: string,
  period: QuotaPeriod,
  overrides: readonly Override[],
  plan: { readonly tier: Tier; readonly isDefault: boolean },
  catalog: Catalog,
  now: number,
): EffectiveLimit | null {
  let chosen: Override | null = null;
  for (const override of overrides) {
    if (override.key !== key || !isOverrideLive(override, now)) continue;
    if (override.period === period) {
      chosen = override;
      break;
    }
    if (override.period === null) chosen = override;
  }
  if (chosen !== null) return { value: chosen.limit, source: { kind: 'override', id: chosen.id } };
  const value = catalog.limit(plan.tier, key, period);
  if (value === undefined) return null;
  return { value, source: plan.isDefault ? { kind: 'default' } : { kind: 'tier', slug: plan.tier.slug } };
}
