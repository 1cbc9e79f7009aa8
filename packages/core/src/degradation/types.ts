import type { QuotaUnit } from '../catalog/quota.ts';
import type { DegradationStage, Flag, SelectionPolicy } from '../ports/billing-repository.ts';

/** A capacity key whose use is above its limit. `excess = current - limit`. */
export interface Overage {
  readonly key: string;
  readonly unit: QuotaUnit;
  readonly current: number;
  readonly limit: number;
  readonly excess: number;
}

/** An org's over-capacity status. */
export interface DegradationReport {
  readonly org: string;
  readonly stage: DegradationStage;
  /** 0 to 1; 0 unless the stage is `degraded` or `marked_for_delete`. */
  readonly level: number;
  readonly overCapacity: boolean;
  readonly overCapacityAt: number | null;
  readonly policy: SelectionPolicy;
  readonly overages: readonly Overage[];
  readonly flagged: readonly Flag[];
}
