import type { QuotaPeriod } from '../catalog/quota.ts';
import type { Overage } from '../degradation/types.ts';
import type { DegradationStage, Subscription } from '../ports/billing-repository.ts';

/** An org went over capacity, reached the next stage, or is within its limits again. */
export interface CapacityNotice {
  readonly org: string;
  readonly stage: DegradationStage;
  /** When the org went over capacity, epoch ms. */
  readonly overCapacityAt: number;
  /** Empty once cleared. */
  readonly overages: readonly Overage[];
}

/** An org reached a percentage of a limit. */
export interface UsageNotice {
  readonly org: string;
  readonly key: string;
  readonly period: QuotaPeriod;
  /** The window's label. */
  readonly window: string;
  /** The percentage of the limit that was reached. */
  readonly threshold: number;
  readonly current: number;
  readonly limit: number;
}

/** A stored subscription changed. */
export interface SubscriptionNotice {
  readonly org: string;
  /** Null for a new subscription. */
  readonly before: Subscription | null;
  readonly after: Subscription;
}

/** A payment of an org's invoice failed or succeeded. */
export interface InvoiceNotice {
  readonly org: string;
  readonly provider: string;
  readonly subscriptionId: string;
}

/** What listeners of `billing.on` receive, by event name. */
export interface NoticeMap {
  'capacity.warned': CapacityNotice;
  'capacity.degraded': CapacityNotice;
  'capacity.marked': CapacityNotice;
  'capacity.cleared': CapacityNotice;
  'usage.threshold': UsageNotice;
  'subscription.changed': SubscriptionNotice;
  'invoice.failed': InvoiceNotice;
  'invoice.paid': InvoiceNotice;
}

export type NoticeName = keyof NoticeMap;

export type NoticeListener<N extends NoticeName> = (notice: NoticeMap[N]) => void | Promise<void>;
