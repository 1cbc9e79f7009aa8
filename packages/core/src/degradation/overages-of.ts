import type { Catalog } from '../catalog/catalog.ts';
import type { QuotaUse } from '../quota/types.ts';
import type { Overage } from './types.ts';

/**
 * The capacity keys whose use is above their limit, in the order of the items, including keys that are never wound down.
 * Metered keys are not overages: above a lowered limit they are refused until their window ends.
 */
export function overagesOf(items: readonly QuotaUse[], catalog: Pick<Catalog, 'quota'>): readonly Overage[] {
  return items.flatMap(({ key, unit, current, limit }) => {
    if (catalog.quota(key)?.kind !== 'capacity' || limit.value === null || current <= limit.value) return [];
    return [{ key, unit, current, limit: limit.value, excess: current - limit.value }];
  });
}
