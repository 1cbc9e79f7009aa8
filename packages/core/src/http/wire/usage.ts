import * as z from 'zod';
import { QUOTA_PERIODS } from '../../catalog/quota.ts';
import type { DegradationReport } from '../../degradation/types.ts';
import type { LimitSource, UsageReport } from '../../quota/types.ts';
import { degradationStatus, quotaUnit, toDegradationStatus } from './degradation.ts';
import { named } from './registry.ts';
import { instant, toInstant, unsigned } from './scalars.ts';

const quotaPeriod = named('QuotaPeriod', z.enum(QUOTA_PERIODS));

const limitSource = named(
  'LimitSource',
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('override'), id: z.string() }),
    z.strictObject({ kind: z.literal('tier'), slug: z.string() }),
    z.strictObject({ kind: z.literal('default') }),
  ]),
);

const effectiveLimit = named(
  'EffectiveLimit',
  z.strictObject({
    source: limitSource,
    value: z.int().min(0).nullish().meta({ format: 'int64', description: 'Null is unlimited.' }),
  }),
);

const quotaUsage = named(
  'QuotaUsage',
  z.strictObject({
    key: z.string(),
    period: quotaPeriod,
    unit: quotaUnit,
    period_label: z.string(),
    current: unsigned,
    limit: effectiveLimit,
    period_start: instant.nullish(),
    period_end: instant.nullish(),
  }),
);

export const quotaReport = named(
  'QuotaReport',
  z.strictObject({
    org_id: z.string(),
    items: z.array(quotaUsage),
    tier_slug: z.string().nullish(),
    degradation: degradationStatus.nullish(),
  }),
);

/** What an org uses; `degradation` is there exactly while the org is over capacity, else null. */
export function toQuotaReport(
  report: UsageReport & { readonly degradation: DegradationReport | null },
): z.infer<typeof quotaReport> {
  const { degradation } = report;
  return {
    org_id: report.org,
    items: report.items.map((use) => ({
      key: use.key,
      period: use.period,
      unit: use.unit,
      period_label: use.window.label,
      current: use.current,
      limit: { source: toLimitSource(use.limit.source), value: use.limit.value },
      period_start: toInstant(use.window.startsAt),
      period_end: toInstant(use.window.endsAt),
    })),
    tier_slug: report.tier,
    degradation: degradation === null ? null : toDegradationStatus(degradation),
  };
}

function toLimitSource(source: LimitSource): z.infer<typeof limitSource> {
  switch (source.kind) {
    case 'override':
      return { kind: 'override', id: source.id };
    case 'tier':
      return { kind: 'tier', slug: source.slug };
    case 'default':
      return { kind: 'default' };
  }
}
