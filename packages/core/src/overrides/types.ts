import type { QuotaPeriod } from '../catalog/quota.ts';

/** An operator's request: `limit` -1 is unlimited; an omitted period means every period of the key. */
export interface SetOverrideRequest {
  readonly subjectType: string;
  readonly subjectId: string;
  readonly key: string;
  readonly limit: number;
  readonly period?: QuotaPeriod | null;
  /** Epoch ms; an instant in the past retires the override. */
  readonly expiresAt?: number | null;
  readonly reason?: string | null;
}
