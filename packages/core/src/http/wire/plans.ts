import * as z from 'zod';
import type { Catalog } from '../../catalog/catalog.ts';
import type { LocalizedText, Tier } from '../../catalog/tier.ts';
import { named } from './registry.ts';

const localizedText = z.union([z.string(), z.record(z.string(), z.string())]);

const planQuotaResponse = named(
  'PlanQuotaResponse',
  z.strictObject({
    quota_key: z.string(),
    period: z.string(),
    unit: z.string(),
    limit_value: z.int().min(0).nullish().meta({ format: 'int64', description: 'Null is unlimited.' }),
  }),
);

const planResponse = named(
  'PlanResponse',
  z.strictObject({
    slug: z.string(),
    name: localizedText,
    is_published: z.boolean(),
    is_default_for_personal: z.boolean(),
    sort_order: z.int32(),
    quotas: z.array(planQuotaResponse),
    description: localizedText.nullish(),
  }),
);

export const plansResponse = named('PlansResponse', z.strictObject({ plans: z.array(planResponse) }));

/** Tiers as the wire calls them: plans. */
export function toPlansResponse(tiers: readonly Tier[], catalog: Catalog): z.infer<typeof plansResponse> {
  return { plans: tiers.map((tier) => toPlanResponse(tier, catalog)) };
}

function toPlanResponse(tier: Tier, catalog: Catalog): z.infer<typeof planResponse> {
  return {
    slug: tier.slug,
    name: toText(tier.name),
    is_published: tier.isPublished,
    is_default_for_personal: tier.isDefaultForPersonal,
    sort_order: tier.sortOrder,
    quotas: tier.quotas.map(({ key, period, limit }) => ({
      quota_key: key,
      period,
      unit: catalog.quota(key)?.unit ?? 'count',
      limit_value: limit,
    })),
    description: tier.description === null ? null : toText(tier.description),
  };
}

function toText(text: LocalizedText): string | Record<string, string> {
  return typeof text === 'string' ? text : { ...text };
}
