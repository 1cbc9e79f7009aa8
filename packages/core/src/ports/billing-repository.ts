import type { QuotaPeriod } from '../catalog/quota.ts';
import type { SweepList } from './sweep-list.ts';

/** Instants are epoch ms everywhere in this port. */

/** The provider's customer that pays for an org. Written when the library creates the customer or the host links one, never guessed from an event. */
export interface Customer {
  readonly org: string;
  readonly provider: string;
  readonly customerId: string;
}

/** The provider's status, stored as it came. An unknown one grants nothing. */
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

/**
 * A subscription as the provider last reported it; or, with the provider `manual`, a plan that an operator granted: it has no customer
 * (an empty `customerId`) and grants nothing from `cancelsAt` on.
 */
export interface Subscription {
  readonly provider: string;
  readonly id: string;
  readonly org: string;
  readonly customerId: string;
  /** The tier it pays for; null if its price belongs to no known tier, which grants nothing. */
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
  /** When it became past due, in the current unbroken period; repeats do not move it. The grace period counts from here. */
  readonly pastDueAt: number | null;
  /** When it ended for good; an ended subscription never changes again. */
  readonly endedAt: number | null;
}

/** A stored subscription; `version` grows by one with each write. */
export type StoredSubscription = Subscription & { readonly version: number };

export type SelectionPolicy = 'newest_first' | 'oldest_first' | 'least_recently_used' | 'manual';

/** An operator's limit for one subject. `limit: null` is unlimited; `period: null` means every period of the key. */
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

/** Everything that decides an org's limits, in one read. */
export interface OrgBilling {
  readonly customers: readonly Customer[];
  readonly subscriptions: readonly StoredSubscription[];
  /** Every override of the org, including expired ones: the reader compares `expiresAt` with its own clock. */
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

/** One row that an admin wants to keep. */
export interface Pin {
  readonly resource: string;
  readonly id: string;
}

/** What is stored of an org's over-capacity lifecycle. */
export interface Degradation {
  /** Null: the host's default policy. */
  readonly policy: SelectionPolicy | null;
  /** When the org went over capacity; null within limits. */
  readonly overCapacityAt: number | null;
  /** The furthest stage that was announced since then; `none` within limits, and if nothing was ever stored. */
  readonly stage: DegradationStage;
  readonly flags: readonly Flag[];
  readonly pins: readonly Pin[];
  /** Grows with each write to any of it; 0 if nothing was ever stored. */
  readonly version: number;
  /** The repository's clock at the moment of the read. */
  readonly readAt: number;
}

/** One checkout in progress. */
export interface CheckoutAttempt {
  readonly id: string;
  readonly org: string;
  readonly provider: string;
  readonly tier: string;
  /** `creating`: a caller is talking to the provider. `open`: the page waits for the customer. `closed`: paid, expired or abandoned. */
  readonly state: 'creating' | 'open' | 'closed';
  readonly sessionId: string | null;
  readonly url: string | null;
  /** When the open page expires at the provider. */
  readonly expiresAt: number | null;
}

/** The permanent identity of an event. */
export interface EventKey {
  readonly provider: string;
  readonly livemode: boolean;
  readonly id: string;
}

/** A verified event as the inbox keeps it: identifiers only, no payload. */
export interface InboxEvent extends EventKey {
  readonly type: string;
  readonly customerId: string | null;
  readonly subscriptionId: string | null;
  readonly createdAt: number;
}

export type EventOutcome = 'applied' | 'ignored' | 'unmatched';

export type EventClaim =
  /** The caller now works on the event; `token` proves the claim until the lease ends. */
  | { readonly outcome: 'claimed'; readonly token: string }
  /** The event is done, with `result`. An `unmatched` event can be claimed again and never answers this. */
  | { readonly outcome: 'done'; readonly result: EventOutcome }
  /** Another caller works on the event, until its lease ends. */
  | { readonly outcome: 'busy' };

/** Metered use of one window, as last written. */
export interface UsageSnapshot {
  readonly org: string;
  readonly key: string;
  readonly window: string;
  readonly used: number;
  /** When the window is over and may be purged; null for a session window that is not known to have ended. */
  readonly endsAt: number | null;
}

/** Who did what; written in the same transaction as the change itself. */
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
 * Durable billing state: subscriptions, customers, overrides, the lifecycle's rows, the webhook inbox, usage snapshots, audit.
 *
 * Each method is one transaction: it happens whole or not at all, and concurrent callers in all processes see one order. A method
 * that takes an `audit` entry writes it in that transaction. Refusals are values. Failures are `TollgateError` with code
 * `repository_unavailable`, in bounded time, after which nothing of the call may be half done.
 * Leases are judged on the repository's own clock.
 */
export interface BillingRepository extends SweepList {
  /** Everything that decides the org's limits; empty lists for an unknown org. */
  loadOrg(org: string): Promise<OrgBilling>;

  /** Stores the customer unless the org already has one at this provider. Returns the one that is stored then. The first caller wins. */
  linkCustomer(customer: Customer): Promise<Customer>;
  /**
   * Stores the customer unless the org's customer at this provider is a different one than that of id `gone`. Returns the one that is
   * stored then. The first caller wins. The customer that is gone pays for no org from then on.
   */
  replaceCustomer(request: { readonly customer: Customer; readonly gone: string }): Promise<Customer>;
  /** The customer, with the org it pays for; null for an unknown one. */
  findCustomer(request: { readonly provider: string; readonly customerId: string }): Promise<Customer | null>;
  /** Customers ordered by (provider, customerId), after the given one: to read all of them page by page. */
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
   * Writes a subscription if its stored version is still `expectedVersion` (null: not stored yet). Otherwise it writes nothing and
   * returns `conflict`. Callers fetch the provider's state after they read the version, so a stale fetch never wins.
   */
  saveSubscription(request: {
    readonly subscription: Subscription;
    readonly expectedVersion: number | null;
    readonly audit: AuditEntry | null;
  }): Promise<'saved' | 'conflict'>;
  /** Subscriptions ordered by (provider, id), after the given one: to read all of them page by page. */
  listSubscriptions(request: {
    readonly after: { readonly provider: string; readonly id: string } | null;
    readonly limit: number;
  }): Promise<readonly StoredSubscription[]>;

  /**
   * Claims the org's one checkout. Of concurrent callers one gets `claimed` and talks to the provider; the others get `busy` until it
   * has saved or `leaseMs` is over.
   *
   * An open, unexpired attempt for the same tier is returned as `open`. One for another tier is returned as `replaces`, so that the
   * caller can expire it at the provider; and again to whoever takes over a claim that ran out before its caller saved.
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
  /** Saves the claimed attempt's new state if the claim still holds; otherwise writes nothing and returns `false`. */
  saveCheckout(request: {
    readonly attempt: CheckoutAttempt;
    readonly audit: AuditEntry | null;
  }): Promise<boolean>;
  /** Closes the org's open attempt whose page is this session; does nothing if there is none. */
  closeCheckout(request: {
    readonly org: string;
    readonly provider: string;
    readonly sessionId: string;
  }): Promise<void>;

  /** Claims an event for `leaseMs`, writing its row the first time. An expired claim and an `unmatched` event can be claimed again. */
  claimEvent(request: { readonly event: InboxEvent; readonly leaseMs: number }): Promise<EventClaim>;
  /**
   * Ends a claimed event and writes its effect, in one transaction. Returns `lost` if the claim is no longer the caller's, `conflict` if
   * the subscription's version has changed. In either case nothing is written; after a conflict the claim still holds.
   * At most `maxUnmatched` unmatched events are kept; the oldest are dropped first.
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
  /** Releases a claim at once, so that the next delivery need not wait for the lease to end. */
  releaseEvent(request: { readonly event: EventKey; readonly token: string }): Promise<void>;
  /** Unmatched events of a customer, oldest first. */
  listUnmatched(request: {
    readonly provider: string;
    readonly customerId: string;
  }): Promise<readonly InboxEvent[]>;
  /** Deletes done events claimed before the instant, or a part of them. Returns how many; 0 when none is left. */
  purgeEvents(request: { readonly before: number }): Promise<number>;

  /** Upserts the override of (subjectType, subjectId, key, period). An existing one keeps its `id` and `createdAt`. */
  upsertOverride(request: { readonly override: Override; readonly actor: string }): Promise<Override>;
  /** Overrides ordered by id: those not expired at `liveAt`, or all if it is null. */
  listOverrides(request: { readonly liveAt: number | null }): Promise<readonly Override[]>;

  loadDegradation(org: string): Promise<Degradation>;
  setSelectionPolicy(request: {
    readonly org: string;
    readonly policy: SelectionPolicy;
    readonly audit: AuditEntry;
  }): Promise<void>;
  /**
   * Pins or unpins a row. If `maxPins` is not null, a new pin that would exceed `maxPins` pins of the resource is refused with
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
   * Replaces `overCapacityAt`, the announced stage and the flags if the stored version is still `expectedVersion`; otherwise returns
   * `conflict`. Policy and pins stay. With `lookAt` the org is on the sweep's list from that instant on; null leaves the list as it is.
   */
  saveDegradation(request: {
    readonly org: string;
    readonly expectedVersion: number;
    readonly overCapacityAt: number | null;
    readonly stage: DegradationStage;
    readonly flags: readonly Flag[];
    readonly lookAt: number | null;
  }): Promise<'saved' | 'conflict'>;

  /** Writes snapshots. A stored `used` is never lowered, so late writers do no harm. */
  saveUsage(snapshots: readonly UsageSnapshot[]): Promise<void>;
  /** Snapshots of one org's windows, in the order asked; null where none is stored. */
  loadUsage(request: {
    readonly org: string;
    readonly windows: readonly { readonly key: string; readonly window: string }[];
  }): Promise<readonly (UsageSnapshot | null)[]>;
  /** Deletes windows that ended before the instant, or a part of them. Returns how many; 0 when none is left. */
  purgeUsage(request: { readonly before: number }): Promise<number>;

  /** Audit entries of one org or of all, newest first. `before` is the `position` of the last entry already seen. */
  listAudit(request: {
    readonly org: string | null;
    readonly before: number | null;
    readonly limit: number;
  }): Promise<readonly (AuditEntry & { readonly position: number })[]>;

  /** Closes what the repository itself opened. */
  close(): Promise<void>;
}
