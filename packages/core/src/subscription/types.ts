import type { EventOutcome, StoredSubscription } from '../ports/billing-repository.ts';
import type { ProviderEvent } from '../ports/payment-provider.ts';

/** The plan an org is on. */
export interface OrgPlan {
  readonly org: string;
  /** The slug of the tier its limits come from. */
  readonly tier: string;
  /** True if that is the default tier, because no subscription grants another. */
  readonly isDefault: boolean;
  /** The subscription that grants the tier, else a live one that currently grants nothing, else null. */
  readonly subscription: StoredSubscription | null;
}

/** A reference to a subscription, or to a checkout in progress (`status: 'pending'`, and the session's id). */
export interface SubscriptionRef {
  readonly provider: string;
  readonly externalId: string;
  /** The slug; empty if the price belongs to no tier. */
  readonly tier: string;
  readonly status: string;
}

export interface CheckoutResult {
  readonly subscription: SubscriptionRef;
  /** The URL of the hosted page to send the customer to; null if nothing is left to do there. */
  readonly location: string | null;
}

export interface WebhookResult {
  readonly provider: string;
  readonly events: readonly ProviderEvent[];
  /** `duplicate` if every event of the delivery was done before. */
  readonly outcome: EventOutcome | 'duplicate';
}

/**
 * What to update from the provider: one org's subscriptions, one subscription, the result of a checkout page, the events since an
 * instant (epoch ms) that were never applied, or everything.
 */
export type SyncRequest =
  | { readonly org: string }
  | { readonly subscription: string }
  | { readonly checkoutSession: string }
  | { readonly eventsSince: number }
  | 'all';

/** What a sync found, as numbers of subscriptions (for `'all'`, `failed` counts orgs), or of events for `eventsSince`. */
export interface SyncResult {
  readonly checked: number;
  /** Subscriptions that were stored differently before, or events that were applied now. */
  readonly changed: number;
  /** Subscriptions the provider does not know, or events of customers that are unknown here. */
  readonly unknown: number;
  /** Could not be fetched or stored; a later sync retries. */
  readonly failed: number;
}
