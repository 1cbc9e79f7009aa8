import type { EventOutcome, StoredSubscription } from '../ports/billing-repository.ts';
import type { ProviderEvent } from '../ports/payment-provider.ts';

/** The plan an org is on. */
export interface OrgPlan {
  readonly org: string;
  /** The slug of the tier its limits come from. */
  readonly tier: string;
  /** True when that is the default tier, because no subscription grants another. */
  readonly isDefault: boolean;
  /** The subscription that grants the tier, else the live one that grants nothing just now, else null. */
  readonly subscription: StoredSubscription | null;
}

/** A reference to a subscription, or to a checkout on its way to one (`status: 'pending'`, the session's id). */
export interface SubscriptionRef {
  readonly provider: string;
  readonly externalId: string;
  /** The slug; empty where the price is in no tier. */
  readonly tier: string;
  readonly status: string;
}

export interface CheckoutResult {
  readonly subscription: SubscriptionRef;
  /** The address of the hosted page to send the customer to; null when nothing is left to do there. */
  readonly location: string | null;
}

export interface WebhookResult {
  readonly provider: string;
  readonly events: readonly ProviderEvent[];
  /** `duplicate` when every event of the delivery was done before. */
  readonly outcome: EventOutcome | 'duplicate';
}

/**
 * What to bring up to the provider's state: one org's subscriptions, one subscription, what came of a checkout page, the events since an
 * instant (epoch ms) that were never done, or everything.
 */
export type SyncRequest =
  | { readonly org: string }
  | { readonly subscription: string }
  | { readonly checkoutSession: string }
  | { readonly eventsSince: number }
  | 'all';

/** What a sync found, in numbers of subscriptions (`failed`: of orgs, for `'all'`), or of events for `eventsSince`. */
export interface SyncResult {
  readonly checked: number;
  /** Stored differently before; an event that was done now. */
  readonly changed: number;
  /** Not known to the provider; an event of a customer not known here. */
  readonly unknown: number;
  /** Could not be looked at or stored; a later sync tries again. */
  readonly failed: number;
}
