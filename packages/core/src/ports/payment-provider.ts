import type { SubscriptionStatus } from './billing-repository.ts';

export type BillingEventKind =
  | 'subscription_created'
  | 'subscription_updated'
  | 'subscription_canceled'
  | 'invoice_paid'
  | 'invoice_failed'
  | 'other';

export type BillingInterval = 'month' | 'year';

/** A verified notice of the provider, normalised. A hint that something changed, not the truth about it. Instants are epoch ms. */
export interface ProviderEvent {
  readonly id: string;
  /** The provider's own type word. */
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
  /** The tier its price maps to; null for a price of no known tier. */
  readonly tier: string | null;
  readonly status: SubscriptionStatus;
  readonly quantity: number;
  readonly interval: BillingInterval | null;
  readonly createdAt: number;
  readonly currentPeriodEndsAt: number | null;
  readonly trialEndsAt: number | null;
  /** Its trial ended without a card, and it stands still: nothing was paid, and nothing is until somebody resumes it. @default false */
  readonly isLapsedTrial?: boolean;
  readonly cancelsAt: number | null;
  readonly scheduledTier: string | null;
  readonly scheduledAt: number | null;
  readonly endedAt: number | null;
}

/** A hosted checkout page. */
export interface CheckoutSession {
  readonly id: string;
  /** Null when nothing is left to pay for and no page is needed. */
  readonly url: string | null;
  readonly expiresAt: number | null;
}

/** A hosted checkout page as it is now. */
export interface CheckoutSessionState extends CheckoutSession {
  readonly customerId: string;
  /** `open`: waits for the customer. `complete`: paid. `expired`: nobody can pay there any more. */
  readonly state: 'open' | 'complete' | 'expired';
  /** The subscription that came of it; null until it is complete. */
  readonly subscriptionId: string | null;
  /** What it sells, as far as the provider says: undefined is unknown. */
  readonly interval?: BillingInterval;
  readonly quantity?: number;
}

/** How much of a tier is bought, and for how long at a time. */
export interface Terms {
  /** @default the provider's own choice for a new subscription, the present one for a change */
  readonly interval?: BillingInterval;
  /** Seats. @default 1 for a new subscription, the present number for a change */
  readonly quantity?: number;
}

/**
 * A payment company. Every method is bounded in time and fails with a `TollgateError`: `provider_error` (it said no, or nonsense),
 * `provider_timeout`, `provider_busy` (it asks us to slow down, `retryAfterSeconds`). No text of the provider's is in the message.
 * A method that takes an `idempotencyKey` has one effect however often it is called with that key.
 */
export interface PaymentProvider {
  /** Its name in URLs and in storage: 1 to 32 of a-z, 0-9, `_`, `-`, the first a letter or a digit. */
  readonly name: string;
  /** Where its hosted pages may live: exact origins, https only but for loopback. Other addresses are refused as `provider_error`. */
  readonly pageOrigins: readonly string[];
  /** Its customer portal; null when it has none. */
  readonly portal: PortalProvider | null;
  /** Its record of what it told; null when it keeps none. */
  readonly history: EventHistory | null;

  /** Whether the tier can be bought here (a price is known). */
  sells(tier: string): boolean;
  createCustomer(request: {
    readonly org: string;
    readonly idempotencyKey: string;
  }): Promise<{ readonly customerId: string }>;
  /**
   * Whether a customer can still buy; false only when the provider is sure that it is gone for good. Nothing can be opened for one
   * that is gone (`provider_error`), and what it subscribed to has ended or is not known any more.
   */
  hasCustomer(request: { readonly customerId: string }): Promise<boolean>;
  /** Opens a hosted page on which the customer subscribes to the tier. Terms it has no price for are `unknown_tier`. */
  openCheckout(
    request: Terms & {
      readonly org: string;
      readonly customerId: string;
      readonly tier: string;
      /** Whether the org had a trial, as stored here: of a customer that is gone too. It gets no other. @default false */
      readonly hadTrial?: boolean;
      readonly idempotencyKey: string;
    },
  ): Promise<CheckoutSession>;
  /** The page as it is now; null when the provider knows none of that id. */
  fetchCheckout(request: { readonly sessionId: string }): Promise<CheckoutSessionState | null>;
  /** Ends an open page, so that nobody can pay there any more; one that is paid or gone already is left alone. */
  expireCheckout(request: { readonly sessionId: string }): Promise<void>;
  /**
   * Moves a live subscription to another tier, without a second subscription ever; an end or a change that was scheduled is
   * called off. Answers it as it is then.
   */
  changeSubscription(
    request: Terms & {
      readonly subscriptionId: string;
      readonly tier: string;
      readonly idempotencyKey: string;
    },
  ): Promise<ProviderSubscription>;
  /**
   * Ends a subscription, at once or at its period's end, as the provider was configured; an `incomplete` one and a lapsed trial
   * always at once, and one that has ended stays as it is. Answers it as it is then.
   */
  cancelSubscription(request: {
    readonly subscriptionId: string;
    readonly idempotencyKey: string;
  }): Promise<ProviderSubscription>;
  /** The subscription as it is now, read past any cache; null only when the provider is sure there is none (an ended one is known). */
  fetchSubscription(request: { readonly subscriptionId: string }): Promise<ProviderSubscription | null>;
  /** All subscriptions of a customer, ended ones too; of one that is gone, those that are still told. */
  listSubscriptions(request: { readonly customerId: string }): Promise<readonly ProviderSubscription[]>;
  /**
   * Verifies a webhook over its raw bytes and normalises it. An empty list: genuine, but nothing for us (another account's, or
   * of the other mode).
   * @throws TollgateError `invalid_signature` for any fault of the signature, one message for all of them; `invalid_event` for
   * signed bytes that are no event; `provider_not_configured` without a usable secret.
   */
  readWebhook(request: {
    readonly bytes: Uint8Array;
    readonly header: (name: string) => string | undefined;
    readonly now: number;
  }): Promise<readonly ProviderEvent[]>;
  /** Lets go of what the provider itself opened. */
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

/** A provider's own record of its events, for finding those that never arrived. */
export interface EventHistory {
  /** Events that happened at `since` (epoch ms) or later, oldest first, as far back as the provider keeps them. */
  listEvents(request: { readonly since: number }): Promise<readonly ProviderEvent[]>;
}
