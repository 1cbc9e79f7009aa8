import { describe, expect, it } from 'vitest';
import { ENDPOINTS } from './api.ts';
import { type ClientType, type ClientTypes, readClientTypes } from './client-types.test-support.ts';
import type { Checks } from './parameters.ts';

/** Operation -> file and type of its parameters in Stripe's client. */
const TYPES: Readonly<Record<string, readonly [string, string]>> = {
  'POST /v1/products': ['Products', 'ProductCreateParams'],
  'GET /v1/products/:id': ['Products', 'ProductRetrieveParams'],
  'POST /v1/prices': ['Prices', 'PriceCreateParams'],
  'GET /v1/prices': ['Prices', 'PriceListParams'],
  'GET /v1/prices/:id': ['Prices', 'PriceRetrieveParams'],
  'POST /v1/coupons': ['Coupons', 'CouponCreateParams'],
  'POST /v1/promotion_codes': ['PromotionCodes', 'PromotionCodeCreateParams'],
  'POST /v1/customers': ['Customers', 'CustomerCreateParams'],
  'GET /v1/customers': ['Customers', 'CustomerListParams'],
  'GET /v1/customers/:id': ['Customers', 'CustomerRetrieveParams'],
  'POST /v1/customers/:id': ['Customers', 'CustomerUpdateParams'],
  'DELETE /v1/customers/:id': ['Customers', 'CustomerDeleteParams'],
  'POST /v1/checkout/sessions': ['Checkout/Sessions', 'Checkout.SessionCreateParams'],
  'GET /v1/checkout/sessions': ['Checkout/Sessions', 'Checkout.SessionListParams'],
  'GET /v1/checkout/sessions/:id': ['Checkout/Sessions', 'Checkout.SessionRetrieveParams'],
  'POST /v1/checkout/sessions/:id/expire': ['Checkout/Sessions', 'Checkout.SessionExpireParams'],
  'POST /v1/billing_portal/configurations': [
    'BillingPortal/Configurations',
    'BillingPortal.ConfigurationCreateParams',
  ],
  'GET /v1/billing_portal/configurations': [
    'BillingPortal/Configurations',
    'BillingPortal.ConfigurationListParams',
  ],
  'POST /v1/billing_portal/sessions': ['BillingPortal/Sessions', 'BillingPortal.SessionCreateParams'],
  'POST /v1/subscriptions': ['Subscriptions', 'SubscriptionCreateParams'],
  'GET /v1/subscriptions': ['Subscriptions', 'SubscriptionListParams'],
  'GET /v1/subscriptions/:id': ['Subscriptions', 'SubscriptionRetrieveParams'],
  'POST /v1/subscriptions/:id': ['Subscriptions', 'SubscriptionUpdateParams'],
  'POST /v1/subscriptions/:id/resume': ['Subscriptions', 'SubscriptionResumeParams'],
  'DELETE /v1/subscriptions/:id': ['Subscriptions', 'SubscriptionCancelParams'],
  'GET /v1/invoices': ['Invoices', 'InvoiceListParams'],
  'GET /v1/invoices/:id': ['Invoices', 'InvoiceRetrieveParams'],
  'POST /v1/invoices/:id/pay': ['Invoices', 'InvoicePayParams'],
  'POST /v1/subscription_schedules': ['SubscriptionSchedules', 'SubscriptionScheduleCreateParams'],
  'GET /v1/subscription_schedules': ['SubscriptionSchedules', 'SubscriptionScheduleListParams'],
  'GET /v1/subscription_schedules/:id': ['SubscriptionSchedules', 'SubscriptionScheduleRetrieveParams'],
  'POST /v1/subscription_schedules/:id': ['SubscriptionSchedules', 'SubscriptionScheduleUpdateParams'],
  'POST /v1/subscription_schedules/:id/release': [
    'SubscriptionSchedules',
    'SubscriptionScheduleReleaseParams',
  ],
  'GET /v1/events': ['Events', 'EventListParams'],
  'GET /v1/events/:id': ['Events', 'EventRetrieveParams'],
};

/** What the stand-in accepts but Stripe's client does not know. */
function* unknownParameters(
  checks: Checks,
  type: ClientType,
  types: ClientTypes,
  path = '',
): Generator<string> {
  for (const [name, check] of Object.entries(checks)) {
    const text = type.fields.get(name);
    const here = path === '' ? name : `${path}.${name}`;
    if (text === undefined) {
      yield here;
      continue;
    }
    if (check.parts !== undefined) {
      const inner = types.inner(text, type.scope);
      if (inner === null) yield `${here}: not a shape in the client`;
      else yield* unknownParameters(check.parts, inner, types, here);
    }
    const known = check.words === undefined ? null : types.words(text, type.scope);
    for (const word of check.words ?? []) if (!known?.includes(word)) yield `${here}: '${word}'`;
  }
}

describe('the stand-in takes no parameter that Stripe’s client does not know', () => {
  it.each(ENDPOINTS.map((endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint] as const))(
    '%s',
    (name, { checks }) => {
      const [file = '', typeName = ''] = TYPES[name] ?? [];
      const types = readClientTypes(file);
      const type = types.type(typeName);
      if (type === null) throw new Error(`Stripe's client has no ${typeName}.`);
      expect([...unknownParameters(checks, type, types)]).toEqual([]);
    },
  );

  it('and says so of one that it should not know', () => {
    const types = readClientTypes('Subscriptions');
    const type = types.type('SubscriptionUpdateParams');
    const check = (value: unknown) => value;
    const checks = {
      price: check,
      proration_behavior: Object.assign(check.bind(null), { words: ['none', 'half'] }),
      trial_settings: Object.assign(check.bind(null), {
        parts: { end_behavior: Object.assign(check.bind(null), { parts: { now: check } }) },
      }),
    };
    expect(type && [...unknownParameters(checks, type, types)]).toEqual([
      'price',
      "proration_behavior: 'half'",
      'trial_settings.end_behavior.now',
    ]);
  });
});
