import type { CheckoutSettings, DowngradeTiming, ProrationBehavior } from './stripe-settings.ts';

/** The prices of a tier: one monthly price, or a price an interval. */
export type TierPrices =
  | string
  | {
      readonly month?: string;
      readonly year?: string;
      /** Prices that are no longer sold but still grant the tier, of either interval. */
      readonly legacy?: readonly string[];
    };

/** What `stripeProvider` takes. Everything is checked at once, at start; each fault is named with its cure. */
export interface StripeOptions {
  /** An API key, `sk_...` or `rk_...`. */
  readonly secretKey: string;
  /**
   * The signing secrets of the webhook endpoints, `whsec_...`: two during a roll-over, or one an endpoint. A function is asked at
   * each delivery, for secrets that change while the process runs.
   */
  readonly webhookSecrets: string | readonly string[] | (() => string | readonly string[]);
  /** Tier slug -> price ids. A price that is not in here grants nothing. */
  readonly prices: Readonly<Record<string, TierPrices>>;
  /** Where the customer comes back to after paying; `{CHECKOUT_SESSION_ID}` in it is filled in. */
  readonly successUrl: string;
  /** Where the customer comes back to without paying. @default successUrl */
  readonly cancelUrl?: string;

  /** The interval of a checkout that names none. @default 'month' */
  readonly interval?: 'month' | 'year';
  /** What a change of price in mid-period costs. @default 'create_prorations' */
  readonly proration?: ProrationBehavior;
  /** When a subscription that is given up ends. @default 'at_period_end' */
  readonly downgrade?: DowngradeTiming;
  /** Whole days free at the beginning, for every tier or tier by tier; an org gets them once. @default none */
  readonly trialDays?: number | Readonly<Record<string, number>>;
  /** Whether a trial needs a card. Without one it ends with `trialEndsWithoutCard`. @default true */
  readonly trialNeedsCard?: boolean;
  /** What becomes of it then. Paused or canceled, it grants nothing, and the next checkout opens a page. @default 'cancel' */
  readonly trialEndsWithoutCard?: 'cancel' | 'pause';
  /** Whether customers may enter a promotion code on the page. @default false */
  readonly promotionCodes?: boolean;
  /** A discount for one checkout, such as a coupon; it takes the place of `promotionCodes`. @default none */
  readonly discount?: CheckoutSettings['discount'];
  /** Lets the customer choose the quantity (seats) on the page, within bounds. @default fixed */
  readonly adjustableQuantity?: { readonly minimum: number; readonly maximum: number };
  /** Whether Stripe works out tax; asks for an address. @default false */
  readonly automaticTax?: boolean;
  /** Name and e-mail of a new customer. @default none */
  readonly describeCustomer?: CheckoutSettings['describeCustomer'];
  /** The portal's configuration, `bpc_...`. @default the account's own */
  readonly portalConfiguration?: string;

  /** Whether the account is live; events of the other mode are ignored. @default by the key */
  readonly livemode?: boolean;
  /** Acts for this connected account, `acct_...`; events of any other account are ignored. @default none */
  readonly account?: string;
  /** Origins of hosted pages beside Stripe's own: a custom domain, such as `https://pay.example.com`. @default none */
  readonly pageOrigins?: readonly string[];
  /** The API's address; http for loopback only, which is then trusted for pages too. @default 'https://api.stripe.com' */
  readonly apiBase?: string;
  /** How long one request may take, and one of your own functions, ms. @default 8_000 */
  readonly timeoutMs?: number;
  /** How often a request is repeated after a failure of the network. @default 1 */
  readonly maxNetworkRetries?: number;
  /** Its name in URLs and in storage. @default 'stripe' */
  readonly name?: string;
}
