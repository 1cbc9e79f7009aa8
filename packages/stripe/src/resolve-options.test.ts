import { TollgateError } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import type { StripeOptions } from './stripe-options.ts';
import { stripeProvider } from './stripe-provider.ts';

const GOOD: StripeOptions = {
  secretKey: 'sk_test_sentinel_0123456789',
  webhookSecrets: 'whsec_sentinel_0123456789',
  prices: { pro: 'price_pro' },
  successUrl: 'https://app.example.com/billing?session={CHECKOUT_SESSION_ID}',
};

function faultOf(parts: object): string {
  try {
    stripeProvider({ ...GOOD, ...parts } as StripeOptions);
  } catch (error) {
    if (error instanceof TollgateError && error.code === 'invalid_configuration') return error.message;
    throw error;
  }
  return '';
}

describe('the options', () => {
  it('are enough as they stand in the guide', () => {
    expect(faultOf({})).toBe('');
    expect(stripeProvider(GOOD)).toMatchObject({ name: 'stripe', portal: expect.anything() });
  });

  it.each([undefined, null])('are named where there are none: %s', (none) => {
    expect(() => stripeProvider(none as never)).toThrow(/secretKey: is missing/);
  });

  it.each(['prod_gold_monthly', 'prod_gold', 'prod-2019'])(
    'take a price whose id somebody chose, as those of old plans are: %s',
    (price) => {
      expect(faultOf({ prices: { pro: price } })).toBe('');
    },
  );

  it('take a tier that is not sold: its prices were made for single customers, or are of the past', () => {
    expect(faultOf({ prices: { pro: 'price_pro', enterprise: { legacy: ['price_custom'] } } })).toBe('');
  });

  it.each([
    ['secretKey', { secretKey: undefined }],
    ['secretKey', { secretKey: '' }],
    ['secretKey', { secretKey: '   ' }],
    ['secretKey', { secretKey: ' sk_test_sentinel_0123456789' }],
    ['livemode', { secretKey: 'whatever_sentinel_0123456789' }],
    ['secretKey', { secretKey: 'pk_test_sentinel_0123456789' }],
    ['secretKey', { secretKey: 'whsec_sentinel_0123456789' }],
    ['webhookSecrets', { webhookSecrets: 'we_sentinel_0123456789' }],
    ['webhookSecrets', { webhookSecrets: ['sk_test_sentinel_0123456789'] }],
    ['prices', { prices: { pro: 'prod_1A' } }],
    ['prices', { prices: { pro: 'prod_NWjs8kKbJWmuuc' } }],
    ['T2: webhookSecrets', { webhookSecrets: undefined }],
    ['T2: webhookSecrets', { webhookSecrets: '' }],
    ['T2: webhookSecrets', { webhookSecrets: [] }],
    ['T2: webhookSecrets', { webhookSecrets: ' \t ' }],
    ['T2: webhookSecrets', { webhookSecrets: '\u00a0'.repeat(20) }],
    ['T2: webhookSecrets', { webhookSecrets: 'whsec_sentinel_0123456789\n' }],
    ['T2: webhookSecrets', { webhookSecrets: ['whsec_sentinel_0123456789', ''] }],
    ['prices', { prices: {} }],
    ['prices', { prices: { pro: {} } }],
    ['prices', { prices: { pro: { legacy: [] } } }],
    ['prices', { prices: { pro: '' } }],
    ['prices', { prices: { pro: 'price_1', team: 'price_1' } }],
    ['prices', { prices: { pro: { month: 'price_1', legacy: ['price_1'] } } }],
    ['prices', { prices: { pro: { month: 'price_1', legacy: 'abc' } } }],
    ['successUrl', { successUrl: undefined }],
    ['successUrl', { successUrl: '/billing' }],
    ['successUrl', { successUrl: 'http://app.example.com' }],
    ['cancelUrl', { cancelUrl: 'javascript:alert(1)' }],
    ['apiBase', { apiBase: 'http://api.example.com' }],
    ['apiBase', { apiBase: 'https://api.example.com/v1' }],
    ['apiBase', { apiBase: 'https://user@api.example.com' }],
    ['pageOrigins', { pageOrigins: ['https://pay.example.com/'] }],
    ['pageOrigins', { pageOrigins: 'https://pay.example.com' }],
    ['account', { account: 'me' }],
    ['proration', { proration: 'some' }],
    ['downgrade', { downgrade: 'soon' }],
    ['interval', { interval: 'week' }],
    ['trialDays', { trialDays: 1.5 }],
    ['trialDays', { trialDays: { pro: 731 } }],
    ['trialDays', { trialDays: null }],
    ['trialDays', { trialDays: { por: 14 } }],
    ['trialEndsWithoutCard', { trialEndsWithoutCard: 'stop' }],
    ['discount', { discount: { coupon: 'spring' } }],
    ['describeCustomer', { describeCustomer: { name: 'The company' } }],
    ['trialDay', { trialDay: 14 }],
    ['adjustableQuantity', { adjustableQuantity: { minimum: 5, maximum: 2 } }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['maxNetworkRetries', { maxNetworkRetries: 99 }],
    ['name', { name: 'Stripe!' }],
    ['prices', { prices: 'price_1' }],
    ['trialDays', { trialDays: null }],
    ['trialNeedsCard', { trialNeedsCard: 'no' }],
    ['trialEndsWithoutCard', { trialEndsWithoutCard: 'never' }],
    ['promotionCodes', { promotionCodes: 1 }],
    ['discount', { discount: 'coupon_1' }],
    ['describeCustomer', { describeCustomer: {} }],
    ['adjustableQuantity', { adjustableQuantity: null }],
    ['automaticTax', { automaticTax: 'yes' }],
    ['portalConfiguration', { portalConfiguration: 5 }],
    ['livemode', { livemode: 'yes' }],
    ['pageOrigins', { pageOrigins: 'https://pay.example.com' }],
    ['prorations', { prorations: 'none' }],
  ])('with a fault in %s are refused at start (%j), and no secret is in the message', (name, parts) => {
    const message = faultOf(parts);
    expect(message).toContain(`- ${name.replace('T2: ', '')}:`);
    expect(message).not.toContain('sentinel');
  });

  it('are all checked at once', () => {
    const message = faultOf({ secretKey: '', prices: {}, timeoutMs: -1 });
    for (const name of ['secretKey', 'prices', 'timeoutMs', 'livemode'])
      expect(message).toContain(`- ${name}:`);
  });
});

describe('T20: pages', () => {
  it('are trusted on Stripe’s own origins and on those named, and on loopback only where the API is', () => {
    expect(stripeProvider(GOOD).pageOrigins).toEqual([
      'https://checkout.stripe.com',
      'https://billing.stripe.com',
    ]);
    const named = { pageOrigins: ['https://pay.example.com'], apiBase: 'http://127.0.0.1:4242' };
    expect(stripeProvider({ ...GOOD, ...named }).pageOrigins).toEqual([
      'https://checkout.stripe.com',
      'https://billing.stripe.com',
      'https://pay.example.com',
      'http://127.0.0.1:4242',
    ]);
    expect(stripeProvider({ ...GOOD, apiBase: 'https://api.example.com' }).pageOrigins).not.toContain(
      'https://api.example.com',
    );
  });
});
