import type { CheckoutSettings, DowngradeTiming, ProrationBehavior } from './stripe-settings.ts';

/** The prices of a tier: one monthly price, or a price for each interval. A tier with `legacy` prices only is granted, not sold. */
export type TierPrices =
  | string
  | {
      readonly month?: string;
      readonly year?: string;
      /** Prices, of either interval, that grant the tier but are not sold: those of the past, or made for one customer. */
      readonly legacy?: readonly string[];
    };

/** The options of `stripeProvider`. All are checked at once, at start; the error names each fault with its remedy. */
export interface StripeOptions {
  /** An API key, `sk_...` or `rk_...`. */
  readonly secretKey: string;
  /**
   * The signing secrets of the webhook endpoints, `whsec_...`: two during a roll-over, or one for each endpoint. A function is called
   * at each delivery, for secrets that change while the process runs.
   */
  readonly webhookSecrets: string | readonly string[] | (() => string | readonly string[]);
  /** Tier slug -> price ids. A price that is not listed here grants nothing. */
  readonly prices: Readonly<Record<string, TierPrices>>;
  /** Where the customer returns to after paying; `{CHECKOUT_SESSION_ID}` in it is filled in. */
  readonly successUrl: string;
  /** Where the customer returns to without paying. @default successUrl */
  readonly cancelUrl?: string;

  /** The interval of a checkout that names none. @default 'month' */
  readonly interval?: 'month' | 'year';
  /** How a change of price in mid-period is charged. @default 'create_prorations' */
  readonly proration?: ProrationBehavior;
  /** When a subscription ends that its org gives up. @default 'at_period_end' */
  readonly downgrade?: DowngradeTiming;
  /** Length of the free trial in whole days, for every tier or by tier; an org gets one trial. @default none */
  readonly trialDays?: number | Readonly<Record<string, number>>;
  /** Whether a trial needs a card. A trial without one ends as `trialEndsWithoutCard` says. @default true */
  readonly trialNeedsCard?: boolean;
  /** How a trial without a card ends. Either way it then grants nothing, and the next checkout opens a page. @default 'cancel' */
  readonly trialEndsWithoutCard?: 'cancel' | 'pause';
  /** Whether customers may enter a promotion code on the page. @default false */
  readonly promotionCodes?: boolean;
  /** The discount of one checkout, such as a coupon; it replaces `promotionCodes`. @default none */
  readonly discount?: CheckoutSettings['discount'];
  /** Lets the customer choose the quantity (seats) on the page, within bounds. @default fixed */
  readonly adjustableQuantity?: { readonly minimum: number; readonly maximum: number };
  /** Whether Stripe calculates tax; the page then asks for an address. @default false */
  readonly automaticTax?: boolean;
  /** Name, e-mail and metadata of a new customer, the same each time for an org: they are part of the idempotency key. @default none */
  readonly describeCustomer?: CheckoutSettings['describeCustomer'];
  /** The id of the portal's configuration, `bpc_...`. @default the account's own */
  readonly portalConfiguration?: string;

  /** Whether the account is in live mode; events of the other mode are ignored. @default by the key */
  readonly livemode?: boolean;
  /** The connected account to act for, `acct_...`; events of any other account are ignored. @default none */
  readonly account?: string;
  /** Origins of hosted pages besides Stripe's own: a custom domain, such as `https://pay.example.com`. @default none */
  readonly pageOrigins?: readonly string[];
  /** The API's address. http is for loopback only, which is then trusted for pages too. @default 'https://api.stripe.com' */
  readonly apiBase?: string;
  /** How long one request, or one of your own functions, may take, ms. @default 8_000 */
  readonly timeoutMs?: number;
  /** How often a request is retried after a network failure. @default 1 */
  readonly maxNetworkRetries?: number;
  /** The provider's name in URLs and in storage. @default 'stripe' */
  readonly name?: string;
}
