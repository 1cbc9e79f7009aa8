import type { QuotaPeriod } from '../catalog/quota.ts';

/** An operator's wish, as it came: `limit` -1 is unlimited; an omitted period means every period of the key. */
export interface SetOverrideRequest {
  readonly subjectType: string;
  readonly subjectId: string;
  readonly key: string;
  readonly limit: number;
  readonly period?: QuotaPeriod | null;
  /** Epoch ms; in the past it retires the override. */
  readonly expiresAt?: number | null;
  readonly reason?: string | null;
}
