import type { QuotaPeriod } from '../catalog/quota.ts';
import type { SweepList } from './sweep-list.ts';

/** Instants are epoch ms everywhere in this port. */

/** The provider's customer that pays for an org. Written when the library makes the customer, never guessed from an event. */
export interface Customer {
  readonly org: string;
  readonly provider: string;
  readonly customerId: string;
}

/** The provider's status word, kept as it came: an unknown one is stored and grants nothing. */
export type SubscriptionStatus =
  | 'incomplete'
  | 'incomplete_expired'
  | 'trialing'
  | 'active'
  | 'past_due'
  | 'unpaid'
  | 'paused'
  | 'canceled'
  | (string & {});

/** A subscription as the provider last told it. */
export interface Subscription {
  readonly provider: string;
  readonly id: string;
  readonly org: string;
  readonly customerId: string;
  /** The tier it pays for; null when its price is of no known tier, which grants nothing. */
  readonly tier: string | null;
  readonly status: SubscriptionStatus;
  readonly quantity: number;
  readonly interval: 'month' | 'year' | null;
  readonly createdAt: number;
  readonly currentPeriodEndsAt: number | null;
  readonly trialEndsAt: number | null;
  readonly cancelsAt: number | null;
  /** The tier a scheduled change leads to, and when; null without one. */
  readonly scheduledTier: string | null;
  readonly scheduledAt: number | null;
  /** When it first became past due in the present spell; the grace period counts from here, repeats do not move it. */
  readonly pastDueAt: number | null;
  /** When it ended for good; an ended subscription never changes again. */
  readonly endedAt: number | null;
}

/** A stored subscription; `version` grows by one with each write. */
export type StoredSubscription = Subscription & { readonly version: number };

export type SelectionPolicy = 'newest_first' | 'oldest_first' | 'least_recently_used' | 'manual';

/** An operator's limit for one subject. `limit: null` is unlimited, `period: null` every period of the key. */
export interface Override {
  readonly id: string;
  readonly subjectType: string;
  readonly subjectId: string;
  readonly key: string;
  readonly period: QuotaPeriod | null;
  readonly limit: number | null;
  readonly expiresAt: number | null;
  readonly reason: string | null;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** All that decides an org's limits, in one read. */
export interface OrgBilling {
  readonly customers: readonly Customer[];
  readonly subscriptions: readonly StoredSubscription[];
  /** Every override of the org, expired ones too: who reads compares `expiresAt` with its own clock. */
  readonly overrides: readonly Override[];
}

export type DegradationStage = 'none' | 'warned' | 'degraded' | 'marked_for_delete';

export type FlagState = 'flagged' | 'degraded' | 'marked_for_delete';

/** One row picked by the over-capacity lifecycle. */
export interface Flag {
  readonly resource: string;
  readonly id: string;
  readonly state: FlagState;
  readonly flaggedAt: number;
  readonly markedAt: number | null;
}

/** One row its admin wants kept. */
export interface Pin {
  readonly resource: string;
  readonly id: string;
}

/** What is stored of an org's over-capacity lifecycle. */
export interface Degradation {
  /** Null: the host's default policy. */
  readonly policy: SelectionPolicy | null;
  /** When the present spell over capacity began; null within limits. */
  readonly overCapacityAt: number | null;
  /** The furthest stage of the present spell that was announced; `none` within limits and when nothing was ever stored. */
  readonly stage: DegradationStage;
  readonly flags: readonly Flag[];
  readonly pins: readonly Pin[];
  /** Grows with each write to any of it; 0 when nothing was ever stored. */
  readonly version: number;
  /** The repository's clock at the moment of the read. */
  readonly readAt: number;
}

/** One checkout on its way. */
export interface CheckoutAttempt {
  readonly id: string;
  readonly org: string;
  readonly provider: string;
  readonly tier: string;
  /** `creating`: a caller is talking to the provider. `open`: the page waits for the customer. `closed`: paid, expired or given up. */
  readonly state: 'creating' | 'open' | 'closed';
  readonly sessionId: string | null;
  readonly url: string | null;
  /** When the provider lets the open page expire. */
  readonly expiresAt: number | null;
}

/** What names an event for good. */
export interface EventKey {
  readonly provider: string;
  readonly livemode: boolean;
  readonly id: string;
}

/** A verified event as the inbox keeps it: names only, no payload. */
export interface InboxEvent extends EventKey {
  readonly type: string;
  readonly customerId: string | null;
  readonly subscriptionId: string | null;
  readonly createdAt: number;
}

export type EventOutcome = 'applied' | 'ignored' | 'unmatched';

export type EventClaim =
  /** The caller works on it now; `token` proves it until the lease ends. */
  | { readonly outcome: 'claimed'; readonly token: string }
  /** It is done, as `result`. An `unmatched` one is claimable again and does not answer this. */
  | { readonly outcome: 'done'; readonly result: EventOutcome }
  /** Another caller works on it, until its lease ends. */
  | { readonly outcome: 'busy' };

/** Metered use of one window, as last written behind. */
export interface UsageSnapshot {
  readonly org: string;
  readonly key: string;
  readonly window: string;
  readonly used: number;
  /** When the window is over and may be purged; null for a session window not yet known to have ended. */
  readonly endsAt: number | null;
}

/** Who did what, to be kept in the same transaction as the change itself. */
export interface AuditEntry {
  readonly at: number;
  readonly org: string;
  /** The caller's id, or `provider:<name>`, or `system`. */
  readonly actor: string;
  readonly action: 'override.set' | 'policy.set' | 'pin.set' | 'subscription.changed' | 'checkout.started';
  readonly subject: string;
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * Billing state that survives: subscriptions, customers, overrides, the lifecycle's rows, the webhook inbox, usage snapshots, audit.
 *
 * Each method is one transaction: it happens whole or not at all, and racing callers of any process see one order. A method that
 * takes an `audit` entry writes it in that transaction. Refusals are values. Failures are `TollgateError` with code
 * `repository_unavailable`, in bounded time, after which nothing of the call may be half done.
 * Leases are judged on the repository's own clock.
 */
export interface BillingRepository extends SweepList {
  /** Everything that decides the org's limits; empty lists for an org never heard of. */
  loadOrg(org: string): Promise<OrgBilling>;

  /** Stores the customer unless the org has one at this provider; answers the one that is stored then. First caller wins. */
  linkCustomer(customer: Customer): Promise<Customer>;
  /**
   * Stores the customer unless the org has another one than that of id `gone` at this provider; answers the one that is stored then.
   * First caller wins. The one that is gone pays for no org from then on.
   */
  replaceCustomer(request: { readonly customer: Customer; readonly gone: string }): Promise<Customer>;
  /** The org a customer pays for; null for an unknown one. */
  findCustomer(request: { readonly provider: string; readonly customerId: string }): Promise<Customer | null>;
  /** Customers in the order of (provider, customerId), after the given one: for walking all of them in pages. */
  listCustomers(request: {
    readonly after: { readonly provider: string; readonly customerId: string } | null;
    readonly limit: number;
  }): Promise<readonly Customer[]>;
  /** One subscription by its provider's id. */
  findSubscription(request: {
    readonly provider: string;
    readonly id: string;
  }): Promise<StoredSubscription | null>;
  /**
   * Writes a subscription if its stored version is still `expectedVersion` (null: not stored yet); answers `conflict` otherwise,
   * having written nothing. A caller fetches the provider's state after reading the version, so a stale fetch never wins.
   */
  saveSubscription(request: {
    readonly subscription: Subscription;
    readonly expectedVersion: number | null;
    readonly audit: AuditEntry | null;
  }): Promise<'saved' | 'conflict'>;
  /** Subscriptions in the order of (provider, id), after the given one: for walking all of them in pages. */
  listSubscriptions(request: {
    readonly after: { readonly provider: string; readonly id: string } | null;
    readonly limit: number;
  }): Promise<readonly StoredSubscription[]>;

  /**
   * Claims the org's one checkout. Of racing callers one gets `claimed` and talks to the provider; the others `busy` until it
   * has saved or `leaseMs` is over. An open, unexpired attempt for the same tier is answered as `open`; one for another tier is
   * handed out as `replaces`, so that the caller can expire it at the provider, and again to whoever takes over a claim that ran
   * out before its caller saved.
   */
  claimCheckout(request: {
    readonly org: string;
    readonly provider: string;
    readonly tier: string;
    readonly id: string;
    readonly leaseMs: number;
  }): Promise<
    | {
        readonly outcome: 'claimed';
        readonly attempt: CheckoutAttempt;
        readonly replaces: CheckoutAttempt | null;
      }
    | { readonly outcome: 'open'; readonly attempt: CheckoutAttempt }
    | { readonly outcome: 'busy' }
  >;
  /** Saves the claimed attempt's new state, if the claim still holds (`false` otherwise, nothing written). */
  saveCheckout(request: {
    readonly attempt: CheckoutAttempt;
    readonly audit: AuditEntry | null;
  }): Promise<boolean>;
  /** Closes the org's open attempt whose page is this session; without one nothing happens. */
  closeCheckout(request: {
    readonly org: string;
    readonly provider: string;
    readonly sessionId: string;
  }): Promise<void>;

  /** Claims an event for `leaseMs`. A first sighting writes the row; an expired claim and an `unmatched` event are claimable again. */
  claimEvent(request: { readonly event: InboxEvent; readonly leaseMs: number }): Promise<EventClaim>;
  /**
   * Ends a claimed event and writes its effect, in one transaction. `lost` when the claim is no longer the caller's, `conflict` when
   * the subscription's version moved: nothing was written in either case (after a conflict the claim still holds).
   * At most `maxUnmatched` unmatched events are kept, the oldest go first.
   */
  finishEvent(request: {
    readonly event: EventKey;
    readonly token: string;
    readonly result: EventOutcome;
    readonly maxUnmatched: number;
    readonly effect: {
      readonly subscription: Subscription;
      readonly expectedVersion: number | null;
      readonly audit: AuditEntry | null;
    } | null;
  }): Promise<'done' | 'lost' | 'conflict'>;
  /** Gives a claim back at once, so that the next delivery need not wait for the lease. */
  releaseEvent(request: { readonly event: EventKey; readonly token: string }): Promise<void>;
  /** Unmatched events of a customer, oldest first. */
  listUnmatched(request: {
    readonly provider: string;
    readonly customerId: string;
  }): Promise<readonly InboxEvent[]>;
  /** Forgets done events claimed before the instant, or as many of them as it can at once; answers how many, 0 when none is left. */
  purgeEvents(request: { readonly before: number }): Promise<number>;

  /** Inserts or replaces the override of (subjectType, subjectId, key, period). `id` and `createdAt` of an existing one stay. */
  upsertOverride(request: { readonly override: Override; readonly actor: string }): Promise<Override>;
  /** Overrides by id; without `liveAt` all, else those not expired at that instant. */
  listOverrides(request: { readonly liveAt: number | null }): Promise<readonly Override[]>;

  loadDegradation(org: string): Promise<Degradation>;
  setSelectionPolicy(request: {
    readonly org: string;
    readonly policy: SelectionPolicy;
    readonly audit: AuditEntry;
  }): Promise<void>;
  /**
   * Pins or unpins a row. With `maxPins` not null, a new pin that would make more than `maxPins` of the resource is refused as
   * `limit_reached`. Repeating a pin changes nothing.
   */
  setPin(request: {
    readonly org: string;
    readonly pin: Pin;
    readonly keep: boolean;
    readonly maxPins: number | null;
    readonly audit: AuditEntry;
  }): Promise<'saved' | 'limit_reached'>;
  /**
   * Replaces the clock, the announced stage and the flags if the stored version is still `expectedVersion`; `conflict` otherwise.
   * Policy and pins stay. With `lookAt` the org is on the sweep's list from that instant on; null leaves the list as it is.
   */
  saveDegradation(request: {
    readonly org: string;
    readonly expectedVersion: number;
    readonly overCapacityAt: number | null;
    readonly stage: DegradationStage;
    readonly flags: readonly Flag[];
    readonly lookAt: number | null;
  }): Promise<'saved' | 'conflict'>;

  /** Writes snapshots; a stored `used` is never lowered, so late writers do no harm. */
  saveUsage(snapshots: readonly UsageSnapshot[]): Promise<void>;
  /** Snapshots of one org's windows, in order; null where none is stored. */
  loadUsage(request: {
    readonly org: string;
    readonly windows: readonly { readonly key: string; readonly window: string }[];
  }): Promise<readonly (UsageSnapshot | null)[]>;
  /** Forgets windows that ended before the instant, or as many of them as it can at once; answers how many, 0 when none is left. */
  purgeUsage(request: { readonly before: number }): Promise<number>;

  /** Audit entries, newest first; of one org or of all. `before` is the `position` of the last entry already seen. */
  listAudit(request: {
    readonly org: string | null;
    readonly before: number | null;
    readonly limit: number;
  }): Promise<readonly (AuditEntry & { readonly position: number })[]>;

  /** Lets go of what the repository itself opened. */
  close(): Promise<void>;
}
