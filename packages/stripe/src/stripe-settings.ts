import type { PriceTable } from './price-table.ts';

export type ProrationBehavior = 'create_prorations' | 'always_invoice' | 'none';
export type DowngradeTiming = 'at_period_end' | 'at_once';

/** Settings of a checkout page. */
export interface CheckoutSettings {
  readonly successUrl: string;
  readonly cancelUrl: string;
  readonly trialDays: (tier: string) => number;
  readonly trialNeedsCard: boolean;
  readonly trialEndsWithoutCard: 'cancel' | 'pause';
  readonly promotionCodes: boolean;
  readonly discount:
    | ((order: { readonly org: string; readonly tier: string }) => Discount | null | Promise<Discount | null>)
    | null;
  readonly adjustableQuantity: { readonly minimum: number; readonly maximum: number } | null;
  readonly automaticTax: boolean;
  readonly describeCustomer: ((org: string) => CustomerDetails | Promise<CustomerDetails>) | null;
}

/** The id of a coupon or of a promotion code (`promo_...`). */
export type Discount = { readonly coupon: string } | { readonly promotionCode: string };

export interface CustomerDetails {
  readonly name?: string;
  readonly email?: string;
  /** At most 49 texts of up to 500 characters, with names of up to 40. Our own `tollgate_org` is added, and wins. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** How to reach the API. */
export interface ClientSettings {
  readonly secretKey: string;
  readonly account: string | null;
  readonly apiBase: {
    readonly protocol: 'http' | 'https';
    readonly host: string;
    readonly port: number;
  } | null;
  readonly timeoutMs: number;
  readonly maxNetworkRetries: number;
}

/** The checked options, every default filled in. */
export interface StripeSettings {
  readonly name: string;
  readonly client: ClientSettings;
  readonly prices: PriceTable;
  readonly checkout: CheckoutSettings;
  readonly proration: ProrationBehavior;
  readonly downgrade: DowngradeTiming;
  readonly portalConfiguration: string | null;
  readonly livemode: boolean;
  readonly pageOrigins: readonly string[];
  /** @throws TollgateError `provider_not_configured` without a usable secret */
  readonly webhookSecrets: () => readonly string[];
}
