import type { QuotaPeriod } from './catalog/quota.ts';
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

/** The engine: everything that routes and guards do, for the host to call directly. All methods throw `TollgateError`. */
export interface Billing<K extends string = string> {
  // The gate
  reserve(request: ReserveRequest<K>): Promise<Admission>;
  /** Resumes a reservation of another process from its `toJSON()`. @throws TollgateError `invalid_request` if it is not a valid record */
  resume(record: ReservationRecord): ReservationHandle;
  /**
   * Counts units that were used without a reservation, whatever the limit: rows of a capacity key created by an import, metered units of
   * a job. With a `period`, only the window of that period; with an `idempotencyKey` it takes effect once for that key and `period`.
   */
  record(request: {
    org: string;
    key: K;
    amount?: number;
    session?: string;
    period?: QuotaPeriod;
    idempotencyKey?: string;
  }): Promise<void>;
  /** Reports deleted rows of a capacity key, or gives metered units back. With an `idempotencyKey` it takes effect once. */
  release(request: {
    org: string;
    key: K;
    amount?: number;
    session?: string;
    idempotencyKey?: string;
  }): Promise<void>;
  /** Recounts capacity keys (by default all) from the host's inventory, and returns the counts. */
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
  /** Moves an org to a tier: changes its live subscription, or opens a page to start one. The provider chooses terms left out. */
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
   * Updates stored subscriptions from the provider, however many webhooks were lost: for a cron job, or on return from a checkout page.
   * `{ eventsSince }` only reads the provider's own record of events since then, and applies those that never arrived.
   */
  sync(request: SyncRequest): Promise<SyncResult>;
  /**
   * Links an org with a customer that exists at the provider already, and stores that customer's subscriptions: for customers from before
   * Tollgate, and for subscriptions made at the provider by hand. A customer that was linked before is replaced if it is gone at the
   * provider, or if `replaces` names it and all its subscriptions have ended. May be called again, also after a failure.
   *
   * @throws TollgateError `not_found` if the provider has no such customer, `customer_conflict` if the org has another one that is not
   * replaced or the customer pays for another org, and the provider's errors
   */
  linkCustomer(request: { org: string; customerId: string; replaces?: string }): Promise<SyncResult>;

  // Operators
  setOverride(request: SetOverrideRequest & { actor: string }): Promise<Override>;
  overrides(request?: { includeExpired?: boolean }): Promise<readonly Override[]>;
  /**
   * Gives an org a tier that the payment provider does not sell it (an invoice by hand, a partner), until an instant (epoch ms; null: until
   * it is taken back). `tier: null` takes it back at once. An org has one such grant, which another call changes. It takes nothing away:
   * the highest tier counts, as always.
   *
   * @throws TollgateError `unknown_tier`, `invalid_org_id`, `invalid_request` (the default tier, an `until` that has passed or has no tier,
   * no actor), `repository_unavailable`
   */
  grantPlan(request: {
    org: string;
    tier: string | null;
    until?: number | null;
    actor: string;
  }): Promise<OrgPlan>;
  /** Who changed what, newest first: up to `limit` entries (100 by default, at most 1,000) before the `position` given as `before`. */
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

  /** The org's stage and level, as stored at most `limitsTtlMs` ago: cheap enough for every request. */
  standing(org: string): Promise<{ readonly stage: DegradationStage; readonly level: number }>;
  /** Which rows a change of tier would keep, which it would wind down, and when. Changes nothing. */
  preview(request: { org: string; tier: string; at?: number }): Promise<Preview>;
  /** Applies the lifecycle to every org that is due: for a cron job. Several processes may call it at once. */
  sweep(request?: SweepRequest): Promise<SweepResult>;
  /** Sweeps repeatedly in this process, until stopped or closed. @throws TollgateError `invalid_configuration` for an invalid interval */
  startSweeper(options: { everyMs: number }): Sweeper;

  /** Adds a listener and returns a function that removes it. Each event is reported once, by one process. */
  on<N extends NoticeName>(name: N, listener: NoticeListener<N>): () => void;

  /**
   * Finishes the work in progress, within a bounded time (under 30 seconds in all), and releases stores and provider: each is closed
   * with the last engine of this process that uses it.
   */
  close(): Promise<void>;
}
