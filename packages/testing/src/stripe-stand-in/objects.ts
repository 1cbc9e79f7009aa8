/** The API objects as the stand-in keeps them, in the newest shape. Instants are epoch seconds; amounts, the smallest currency unit. */
export interface StripeObject {
  readonly id: string;
  readonly object: string;
}

export interface CustomerObject extends StripeObject {
  readonly object: 'customer';
  readonly created: number;
  email: string | null;
  name: string | null;
  description: string | null;
  metadata: Readonly<Record<string, string>>;
  readonly livemode: boolean;
}

/** What remains of a deleted customer. */
export interface DeletedCustomerObject extends StripeObject {
  readonly object: 'customer';
  readonly deleted: true;
}

export interface ProductObject extends StripeObject {
  readonly object: 'product';
  readonly created: number;
  name: string;
  description: string | null;
  active: boolean;
  metadata: Readonly<Record<string, string>>;
  readonly livemode: boolean;
}

export type Interval = 'day' | 'week' | 'month' | 'year';

export interface PriceObject extends StripeObject {
  readonly object: 'price';
  readonly created: number;
  active: boolean;
  readonly currency: string;
  readonly unit_amount: number;
  readonly product: string;
  readonly lookup_key: string | null;
  readonly nickname: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly recurring: {
    readonly interval: Interval;
    readonly interval_count: number;
    readonly usage_type: 'licensed';
  };
  readonly type: 'recurring';
  readonly billing_scheme: 'per_unit';
  readonly livemode: boolean;
}

export interface CouponObject extends StripeObject {
  readonly object: 'coupon';
  readonly created: number;
  readonly percent_off: number | null;
  readonly amount_off: number | null;
  readonly currency: string | null;
  readonly duration: 'once' | 'forever' | 'repeating';
  readonly duration_in_months: number | null;
  readonly name: string | null;
  readonly valid: boolean;
  readonly livemode: boolean;
}

export interface PromotionCodeObject extends StripeObject {
  readonly object: 'promotion_code';
  readonly created: number;
  readonly active: boolean;
  readonly code: string;
  readonly promotion: { readonly type: 'coupon'; readonly coupon: string };
  readonly livemode: boolean;
}

export interface ItemObject extends StripeObject {
  readonly object: 'subscription_item';
  readonly created: number;
  price: PriceObject;
  quantity: number;
  current_period_start: number;
  current_period_end: number;
  readonly subscription: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export type Status =
  | 'incomplete'
  | 'incomplete_expired'
  | 'trialing'
  | 'active'
  | 'past_due'
  | 'unpaid'
  | 'paused'
  | 'canceled';

export interface SubscriptionObject extends StripeObject {
  readonly object: 'subscription';
  readonly created: number;
  readonly customer: string;
  readonly currency: string;
  status: Status;
  items: ItemObject[];
  billing_cycle_anchor: number;
  cancel_at: number | null;
  cancel_at_period_end: boolean;
  canceled_at: number | null;
  ended_at: number | null;
  trial_start: number | null;
  trial_end: number | null;
  trial_settings: {
    readonly end_behavior: { readonly missing_payment_method: 'cancel' | 'create_invoice' | 'pause' };
  };
  pause_collection: { readonly behavior: string; readonly resumes_at: number | null } | null;
  /** Why and since when it is paused, or was last paused. */
  pause: {
    readonly transitioned_at: number;
    readonly subscription: { readonly type: 'trial_end_without_payment_method' | 'pause_requested' };
  } | null;
  schedule: string | null;
  latest_invoice: string | null;
  /** Coupons that apply to the next invoices. */
  coupons: string[];
  metadata: Readonly<Record<string, string>>;
  readonly collection_method: 'charge_automatically';
  readonly livemode: boolean;
}

export interface PhaseObject {
  readonly items: readonly { readonly price: string; readonly quantity: number }[];
  readonly start_date: number;
  readonly end_date: number;
  readonly proration_behavior: string;
}

export interface ScheduleObject extends StripeObject {
  readonly object: 'subscription_schedule';
  readonly created: number;
  readonly customer: string;
  subscription: string | null;
  released_subscription: string | null;
  status: 'active' | 'released' | 'completed' | 'canceled';
  phases: readonly PhaseObject[];
  current_phase: { readonly start_date: number; readonly end_date: number } | null;
  readonly end_behavior: 'release' | 'cancel';
  readonly livemode: boolean;
}

export interface InvoiceObject extends StripeObject {
  readonly object: 'invoice';
  readonly created: number;
  readonly customer: string;
  readonly subscription: string;
  readonly billing_reason: 'subscription_create' | 'subscription_cycle' | 'subscription_update';
  readonly currency: string;
  readonly amount_due: number;
  amount_paid: number;
  attempt_count: number;
  next_payment_attempt: number | null;
  status: 'open' | 'paid' | 'void' | 'uncollectible';
  readonly lines: readonly { readonly description: string; readonly amount: number }[];
  readonly livemode: boolean;
}

export interface SessionObject extends StripeObject {
  readonly object: 'checkout.session';
  readonly created: number;
  readonly customer: string;
  readonly mode: 'subscription';
  status: 'open' | 'complete' | 'expired';
  payment_status: 'paid' | 'unpaid' | 'no_payment_required';
  subscription: string | null;
  invoice: string | null;
  readonly expires_at: number;
  readonly success_url: string;
  readonly cancel_url: string | null;
  readonly client_reference_id: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly allow_promotion_codes: boolean;
  readonly line_items: readonly { readonly price: PriceObject; quantity: number }[];
  readonly subscription_data: {
    readonly metadata: Readonly<Record<string, string>>;
    readonly trial_period_days: number | null;
    readonly missing_payment_method: 'cancel' | 'create_invoice' | 'pause';
  };
  readonly payment_method_collection: 'always' | 'if_required';
  readonly coupons: readonly string[];
  readonly livemode: boolean;
}

export interface PortalSessionObject extends StripeObject {
  readonly object: 'billing_portal.session';
  readonly created: number;
  readonly customer: string;
  readonly configuration: string;
  readonly return_url: string | null;
  readonly livemode: boolean;
}

export interface PortalConfigurationObject extends StripeObject {
  readonly object: 'billing_portal.configuration';
  readonly created: number;
  readonly active: boolean;
  readonly is_default: boolean;
  readonly features: {
    readonly subscription_cancel: {
      readonly enabled: boolean;
      readonly mode: 'at_period_end' | 'immediately';
    };
    readonly subscription_update: { readonly enabled: boolean };
  };
  readonly livemode: boolean;
}

export interface EventObject extends StripeObject {
  readonly object: 'event';
  readonly created: number;
  readonly type: string;
  readonly api_version: string;
  readonly livemode: boolean;
  readonly pending_webhooks: number;
  readonly request: { readonly id: string | null; readonly idempotency_key: string | null };
  readonly data: { readonly object: Readonly<Record<string, unknown>> };
}
