import { createHash } from 'node:crypto';
import { type CheckoutSession, type PaymentProvider, TollgateError } from '@tollgate/core';
import type { Stripe } from 'stripe';
import { inTime, isMissing, isRememberedFailure } from './call-stripe.ts';
import { customerMetadata } from './customer-metadata.ts';
import { idOf, instantOf, itemsOf, own, present, textOf } from './own.ts';
import type { StripeClient } from './stripe-client.ts';
import type { CustomerDetails, Discount, StripeSettings } from './stripe-settings.ts';

const MAX_NEW_KEYS = 3;
/** The longest `client_reference_id`. A longer org id is sent in the metadata only. */
const MAX_REFERENCE = 200;

type CheckoutOrder = Parameters<PaymentProvider['openCheckout']>[0];

/** Customers and their hosted checkout pages. */
export function createCheckout(
  settings: StripeSettings,
  client: StripeClient,
): Pick<PaymentProvider, 'createCustomer' | 'openCheckout' | 'fetchCheckout' | 'expireCheckout'> {
  const { checkout, prices } = settings;
  /** Calls a function of the host's, with Stripe's time-out. */
  const askHost = <T>(ask: () => T | Promise<T>) =>
    inTime(async () => await ask(), settings.client.timeoutMs);

  const createCustomer: PaymentProvider['createCustomer'] = async ({ org, idempotencyKey }) => {
    const details = (await askHost(() => checkout.describeCustomer?.(org))) ?? {};
    const params = { ...details, metadata: customerMetadata(org, details.metadata) };
    // An org's key is the same for ever, and Stripe replays a key's first answer for a day. So the key changes with the details, and after
    // a failure of Stripe's own that is replayed: otherwise nobody of that org could buy anything until the next day. It also changes with
    // the success URL: another app on the same account may have an org of the same id, and its customer is not ours.
    const base = `${idempotencyKey}-${digest([checkout.successUrl, details])}`;
    for (let tries = 0; ; tries += 1) {
      const key = tries === 0 ? base : `${base}-${tries}`;
      try {
        const { id } = await client.ask((stripe) => stripe.customers.create(params, { idempotencyKey: key }));
        return { customerId: id };
      } catch (error) {
        if (!isRememberedFailure(error) || tries === MAX_NEW_KEYS) throw error;
      }
    }
  };

  const openCheckout: PaymentProvider['openCheckout'] = async (order) => {
    const price = prices.priceOf(order.tier, order.interval, null);
    if (price === null) throw new TollgateError('unknown_tier');
    const discount = (await askHost(() => checkout.discount?.({ org: order.org, tier: order.tier }))) ?? null;
    const trialDays = (await trialIsUsed(order)) ? 0 : checkout.trialDays(order.tier);
    const params = sessionParams(settings, order, { price, discount, trialDays });
    const session = await client.ask((stripe) =>
      stripe.checkout.sessions.create(params, { idempotencyKey: order.idempotencyKey }),
    );
    return toCheckoutSession(session);
  };

  /** Whether any subscription of the org ever had a trial. Stripe is not asked if the tier has none to give, or if it is known. */
  async function trialIsUsed({ customerId, tier, hadTrial = false }: CheckoutOrder): Promise<boolean> {
    if (hadTrial || checkout.trialDays(tier) === 0) return true;
    return await client.ask(async (stripe) => {
      for await (const { trial_start } of stripe.subscriptions.list({
        customer: customerId,
        status: 'all',
        limit: 100,
      })) {
        if (trial_start !== null) return true;
      }
      return false;
    });
  }

  const fetchCheckout: PaymentProvider['fetchCheckout'] = async ({ sessionId }) => {
    try {
      const session = await client.ask((stripe) =>
        stripe.checkout.sessions.retrieve(sessionId, { expand: ['line_items'] }),
      );
      const state = textOf(own(session, 'status'));
      if (state !== 'open' && state !== 'complete' && state !== 'expired')
        throw new TollgateError('provider_error', {
          cause: new Error('A checkout session of no known state.'),
        });
      const [line] = itemsOf(own(own(session, 'line_items'), 'data'));
      const interval = own(own(own(line, 'price'), 'recurring'), 'interval');
      const quantity = own(line, 'quantity');
      return {
        ...toCheckoutSession(session),
        customerId: present(idOf(session.customer), 'customer'),
        state,
        subscriptionId: idOf(session.subscription),
        ...(interval === 'month' || interval === 'year' ? { interval } : {}),
        ...(typeof quantity === 'number' ? { quantity } : {}),
      };
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };

  const expireCheckout: PaymentProvider['expireCheckout'] = async ({ sessionId }) => {
    try {
      await client.ask((stripe) => stripe.checkout.sessions.expire(sessionId));
    } catch (error) {
      // A session that is paid or gone cannot be expired, which is fine; if it is still open, the failure is real.
      if (error instanceof TollgateError && error.code !== 'provider_error') throw error;
      const now = await fetchCheckout({ sessionId });
      if (now?.state === 'open') throw error;
    }
  };

  return { createCustomer, openCheckout, fetchCheckout, expireCheckout };
}

/** A hash for an idempotency key: a header holds no arbitrary script or length, and no names belong in it. */
function digest(parts: readonly [successUrl: string, details: CustomerDetails]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40);
}

function sessionParams(
  { checkout }: StripeSettings,
  order: CheckoutOrder,
  chosen: { readonly price: string; readonly discount: Discount | null; readonly trialDays: number },
): Stripe.Checkout.SessionCreateParams {
  const { org, customerId } = order;
  const { adjustableQuantity: range, trialNeedsCard, trialEndsWithoutCard } = checkout;
  const metadata = { tollgate_org: org };
  const hasTrial = chosen.trialDays > 0;
  return {
    mode: 'subscription',
    customer: customerId,
    ...(org.length > MAX_REFERENCE ? {} : { client_reference_id: org }),
    metadata,
    line_items: [
      {
        price: chosen.price,
        quantity: order.quantity ?? range?.minimum ?? 1,
        ...(range === null ? {} : { adjustable_quantity: { enabled: true, ...range } }),
      },
    ],
    success_url: checkout.successUrl,
    cancel_url: checkout.cancelUrl,
    subscription_data: {
      metadata,
      ...(hasTrial ? { trial_period_days: chosen.trialDays } : {}),
      ...(hasTrial && !trialNeedsCard
        ? { trial_settings: { end_behavior: { missing_payment_method: trialEndsWithoutCard } } }
        : {}),
    },
    ...(hasTrial && !trialNeedsCard ? { payment_method_collection: 'if_required' } : {}),
    ...discountParams(chosen.discount, checkout.promotionCodes),
    ...(checkout.automaticTax
      ? { automatic_tax: { enabled: true }, customer_update: { address: 'auto' } }
      : {}),
  };
}

/** At Stripe a discount and a field for promotion codes exclude each other. */
function discountParams(
  discount: Discount | null,
  promotionCodes: boolean,
): Partial<Stripe.Checkout.SessionCreateParams> {
  if (discount === null) return promotionCodes ? { allow_promotion_codes: true } : {};
  return {
    discounts: [
      'coupon' in discount ? { coupon: discount.coupon } : { promotion_code: discount.promotionCode },
    ],
  };
}

function toCheckoutSession(session: Stripe.Checkout.Session): CheckoutSession {
  return { id: session.id, url: session.url, expiresAt: instantOf(session.expires_at) };
}
