import type { Tier } from './catalog/tier.ts';
import type { Preview } from './degradation/previews.ts';
import type { Sweeper, SweepRequest, SweepResult } from './degradation/sweeps.ts';
import type { DegradationReport } from './degradation/types.ts';
import type { NoticeListener, NoticeName } from './notices/types.ts';
import type { SetOverrideRequest } from './overrides/types.ts';
import type { AuditEntry, DegradationStage, Override, SelectionPolicy } from './ports/billing-repository.ts';
import type { BillingInterval } from './ports/payment-provider.ts';
import type {
  Admission,
  ReservationHandle,
  ReservationRecord,
  ReserveRequest,
  UsageReport,
} from './quota/types.ts';
import type {
  CheckoutResult,
  OrgPlan,
  SyncRequest,
  SyncResult,
  WebhookResult,
} from './subscription/types.ts';

/** The engine: everything the routes and guards do, for a host to call by itself. All methods throw `TollgateError`. */
export interface Billing<K extends string = string> {
  // The gate
  reserve(request: ReserveRequest<K>): Promise<Admission>;
  /** Takes up a reservation that another process made, from its `toJSON()`. @throws TollgateError `invalid_request` for what is no record */
  resume(record: ReservationRecord): ReservationHandle;
  /** Says that rows of a capacity key were deleted, or gives metered units back. With an `idempotencyKey` once, however often it is called. */
  release(request: {
    org: string;
    key: K;
    amount?: number;
    session?: string;
    idempotencyKey?: string;
  }): Promise<void>;
  /** Counts capacity keys anew from the host's inventory (all of them by default); answers the counts. */
  recount(request: { org: string; keys?: readonly K[] }): Promise<ReadonlyMap<K, number>>;
  usage(request: {
    org: string;
    session?: string;
  }): Promise<UsageReport & { degradation: DegradationReport | null }>;

  // Plans and subscriptions
  /** Published tiers by sort order. */
  plans(): readonly Tier[];
  plan(org: string): Promise<OrgPlan>;
  /** Published tiers above the org's own. */
  upgradeOptions(org: string): Promise<readonly Tier[]>;
  /** Moves an org to a tier: changes its live subscription, or opens a page to start one. Terms left out are the provider's choice. */
  checkout(request: {
    org: string;
    tier: string;
    actor: string;
    interval?: BillingInterval;
    quantity?: number;
  }): Promise<CheckoutResult>;
  portal(request: { org: string; returnUrl: string }): Promise<{ url: string }>;
  webhook(request: {
    provider: string;
    bytes: Uint8Array;
    header: (name: string) => string | undefined;
  }): Promise<WebhookResult>;
  /**
   * Brings stored subscriptions up to the provider's, however many webhooks were lost: for a cron, or on return from a checkout page.
   * `{ eventsSince }` looks only at what the provider says it told since then, and does what never arrived.
   */
  sync(request: SyncRequest): Promise<SyncResult>;

  // Operators
  setOverride(request: SetOverrideRequest & { actor: string }): Promise<Override>;
  overrides(request?: { includeExpired?: boolean }): Promise<readonly Override[]>;
  /** Who changed what, newest first: `limit` entries (100, at most 1,000) from before the `position` in `before`. */
  audit(request?: {
    org?: string;
    before?: number;
    limit?: number;
  }): Promise<readonly (AuditEntry & { position: number })[]>;

  // Over capacity
  degradation(org: string): Promise<DegradationReport>;
  setSelectionPolicy(request: {
    org: string;
    policy: SelectionPolicy;
    actor: string;
  }): Promise<DegradationReport>;
  setKeep(request: {
    org: string;
    resource: string;
    id: string;
    keep: boolean;
    actor: string;
  }): Promise<DegradationReport>;

  /** Where the org stands, on what was stored at most `limitsTtlMs` ago: cheap enough for every request. */
  standing(org: string): Promise<{ readonly stage: DegradationStage; readonly level: number }>;
  /** Which rows a change of tier would keep and which it would wind down, and when. Changes nothing. */
  preview(request: { org: string; tier: string; at?: number }): Promise<Preview>;
  /** Applies the lifecycle to every org that is due: for a cron. Safe from several processes at once. */
  sweep(request?: SweepRequest): Promise<SweepResult>;
  /** Sweeps again and again in this process, until stopped or closed. @throws TollgateError `invalid_configuration` for an interval that is none */
  startSweeper(options: { everyMs: number }): Sweeper;

  /** Adds a listener, told of what happens once and by one process; answers how to take it off again. */
  on<N extends NoticeName>(name: N, listener: NoticeListener<N>): () => void;

  /**
   * Finishes what is on its way, as far as that takes some seconds and no more, and lets go of stores and provider: they are closed with
   * the last engine of this process that works with them.
   */
  close(): Promise<void>;
}
