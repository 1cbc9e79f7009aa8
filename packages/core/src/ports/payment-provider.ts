import type { SubscriptionStatus } from './billing-repository.ts';

export type BillingEventKind =
  | 'subscription_created'
  | 'subscription_updated'
  | 'subscription_canceled'
  | 'invoice_paid'
  | 'invoice_failed'
  | 'other';

export type BillingInterval = 'month' | 'year';

/** A verified, normalised event of the provider: a hint that something changed, not the truth about it. Instants are epoch ms. */
export interface ProviderEvent {
  readonly id: string;
  /** The provider's own name for the type. */
  readonly type: string;
  readonly kind: BillingEventKind;
  readonly livemode: boolean;
  readonly createdAt: number;
  readonly customerId: string | null;
  readonly subscriptionId: string | null;
  readonly status: SubscriptionStatus | null;
  readonly tier: string | null;
  /** The checkout session that was completed or expired; null for other events. */
  readonly checkoutSessionId: string | null;
}

/** A subscription as the provider has it now. */
export interface ProviderSubscription {
  readonly id: string;
  readonly customerId: string;
  /** The tier its price belongs to; null for a price of no known tier. */
  readonly tier: string | null;
  readonly status: SubscriptionStatus;
  readonly quantity: number;
  readonly interval: BillingInterval | null;
  readonly createdAt: number;
  readonly currentPeriodEndsAt: number | null;
  readonly trialEndsAt: number | null;
  /** Its trial ended without a card, and it is on hold: nothing was paid, and nothing will be until it is resumed. @default false */
  readonly isLapsedTrial?: boolean;
  readonly cancelsAt: number | null;
  readonly scheduledTier: string | null;
  readonly scheduledAt: number | null;
  readonly endedAt: number | null;
}

/** A hosted checkout page. */
export interface CheckoutSession {
  readonly id: string;
  /** Null if nothing is left to pay and no page is needed. */
  readonly url: string | null;
  readonly expiresAt: number | null;
}

/** A hosted checkout page as it is now. */
export interface CheckoutSessionState extends CheckoutSession {
  readonly customerId: string;
  /** `open`: waits for the customer. `complete`: paid. `expired`: can no longer be paid. */
  readonly state: 'open' | 'complete' | 'expired';
  /** The subscription that resulted; null until it is complete. */
  readonly subscriptionId: string | null;
  /** What it sells; undefined if the provider does not say. */
  readonly interval?: BillingInterval;
  readonly quantity?: number;
}

/** How much of a tier is bought, and for which billing interval. */
export interface Terms {
  /** @default the provider's own choice for a new subscription, the current one for a change */
  readonly interval?: BillingInterval;
  /** Seats. @default 1 for a new subscription, the current number for a change */
  readonly quantity?: number;
}

/**
 * A payment provider. Every method is bounded in time, and fails with a `TollgateError`: `provider_error` (it refused, or its answer
 * makes no sense), `provider_timeout`, or `provider_busy` (it asks for fewer calls; with `retryAfterSeconds`). The message never contains
 * the provider's text. A method that takes an `idempotencyKey` has one effect, however often it is called with that key.
 */
export interface PaymentProvider {
  /** Its name in URLs and in storage: 1 to 32 of a-z, 0-9, `_`, `-`, the first a letter or a digit. Not `manual`, which is taken. */
  readonly name: string;
  /** Where its hosted pages may be: exact origins, https except on loopback. Other addresses are refused with `provider_error`. */
  readonly pageOrigins: readonly string[];
  /** Its customer portal; null if it has none. */
  readonly portal: PortalProvider | null;
  /** Its own record of past events; null if it keeps none. */
  readonly history: EventHistory | null;

  /** Whether the tier can be bought here (a price is known). */
  sells(tier: string): boolean;
  createCustomer(request: {
    readonly org: string;
    readonly idempotencyKey: string;
  }): Promise<{ readonly customerId: string }>;
  /**
   * Whether a customer can still buy; false only if the provider is sure that it is gone for good. No page can be opened for a customer
   * that is gone (`provider_error`), and its subscriptions have ended or are no longer known.
   */
  hasCustomer(request: { readonly customerId: string }): Promise<boolean>;
  /** Opens a hosted page on which the customer subscribes to the tier. Terms without a price fail with `unknown_tier`. */
  openCheckout(
    request: Terms & {
      readonly org: string;
      readonly customerId: string;
      readonly tier: string;
      /** Whether the org had a trial, as stored here, even with a customer that is gone: then it gets no other. @default false */
      readonly hadTrial?: boolean;
      readonly idempotencyKey: string;
    },
  ): Promise<CheckoutSession>;
  /** The page as it is now; null if the provider does not know the id. */
  fetchCheckout(request: { readonly sessionId: string }): Promise<CheckoutSessionState | null>;
  /** Ends an open page, so that it can no longer be paid. A page that is paid or gone already is left alone. */
  expireCheckout(request: { readonly sessionId: string }): Promise<void>;
  /**
   * Moves a live subscription to another tier, without ever creating a second one. A scheduled end or change is called off.
   * Returns the subscription as it is then.
   */
  changeSubscription(
    request: Terms & {
      readonly subscriptionId: string;
      readonly tier: string;
      readonly idempotencyKey: string;
    },
  ): Promise<ProviderSubscription>;
  /**
   * Ends a subscription, at once or at the end of its period, as the provider was configured. An `incomplete` one and a lapsed trial
   * always end at once; one that has ended stays as it is. Returns the subscription as it is then.
   */
  cancelSubscription(request: {
    readonly subscriptionId: string;
    readonly idempotencyKey: string;
  }): Promise<ProviderSubscription>;
  /** The subscription as it is now, not from a cache; null only if the provider is sure that there is none (an ended one exists). */
  fetchSubscription(request: { readonly subscriptionId: string }): Promise<ProviderSubscription | null>;
  /** All subscriptions of a customer, including ended ones; of a customer that is gone, those the provider still reports. */
  listSubscriptions(request: { readonly customerId: string }): Promise<readonly ProviderSubscription[]>;
  /**
   * Verifies a webhook over its raw bytes and normalises it. An empty list means: genuine, but not for this app (of another account, or
   * of the other mode).
   * @throws TollgateError `invalid_signature` for any fault of the signature, with one message for all of them; `invalid_event` for
   * signed bytes that are not an event; `provider_not_configured` without a usable secret.
   */
  readWebhook(request: {
    readonly bytes: Uint8Array;
    readonly header: (name: string) => string | undefined;
    readonly now: number;
  }): Promise<readonly ProviderEvent[]>;
  /** Closes what the provider itself opened. */
  close(): Promise<void>;
}

/** A page where a customer manages card, invoices and subscription. */
export interface PortalProvider {
  /** @param returnUrl - already checked against the host's allow list. */
  openPortal(request: {
    readonly customerId: string;
    readonly returnUrl: string;
  }): Promise<{ readonly url: string }>;
}

/** A provider's own record of its events, to find those that never arrived. */
export interface EventHistory {
  /** Events that happened at `since` (epoch ms) or later, oldest first, as far back as the provider keeps them. */
  listEvents(request: { readonly since: number }): Promise<readonly ProviderEvent[]>;
}
