import * as z from 'zod';
import { QUOTA_UNITS } from '../../catalog/quota.ts';
import { SELECTION_POLICIES } from '../../degradation/picking-order.ts';
import { STAGES } from '../../degradation/stage-at.ts';
import type { DegradationReport } from '../../degradation/types.ts';
import { named } from './registry.ts';
import { identifier, instant, toInstant, unsigned } from './scalars.ts';

export const quotaUnit = named('QuotaUnit', z.enum(QUOTA_UNITS));

const degradationStage = named('DegradationStage', z.enum(STAGES));

const resourceState = named('ResourceState', z.enum(['active', 'flagged', 'degraded', 'marked_for_delete']));

const selectionPolicy = named('SelectionPolicy', z.enum(SELECTION_POLICIES));

const keyOverage = named(
  'KeyOverage',
  z.strictObject({ key: z.string(), unit: quotaUnit, current: unsigned, limit: unsigned, excess: unsigned }),
);

const flaggedResource = named(
  'FlaggedResource',
  z.strictObject({
    resource: z.string(),
    id: z.string(),
    state: resourceState,
    flagged_at: instant.nullish(),
    marked_at: instant.nullish(),
  }),
);

export const degradationStatus = named(
  'DegradationStatus',
  z.strictObject({
    org_id: z.string(),
    stage: degradationStage,
    degradation_level: z.number().min(0).max(1),
    over_capacity: z.boolean(),
    selection_policy: selectionPolicy,
    overages: z.array(keyOverage),
    flagged: z.array(flaggedResource),
    over_capacity_since: instant.nullish(),
  }),
);

export const setSelectionPolicyRequest = named(
  'SetSelectionPolicyRequest',
  z.strictObject({ policy: selectionPolicy }),
);

export const setResourceKeepRequest = named(
  'SetResourceKeepRequest',
  z.strictObject({ resource: identifier, resource_id: identifier, keep: z.boolean() }),
);

/** The over-capacity status of an org. */
export function toDegradationStatus(report: DegradationReport): z.infer<typeof degradationStatus> {
  return {
    org_id: report.org,
    stage: report.stage,
    degradation_level: report.level,
    over_capacity: report.overCapacity,
    selection_policy: report.policy,
    overages: report.overages.map(({ key, unit, current, limit, excess }) => ({
      key,
      unit,
      current,
      limit,
      excess,
    })),
    flagged: report.flagged.map((flag) => ({
      resource: flag.resource,
      id: flag.id,
      state: flag.state,
      flagged_at: toInstant(flag.flaggedAt),
      marked_at: toInstant(flag.markedAt),
    })),
    over_capacity_since: toInstant(report.overCapacityAt),
  };
}
