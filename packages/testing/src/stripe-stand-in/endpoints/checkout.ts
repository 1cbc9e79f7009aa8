import { invalidParameter, missing, refused } from '../api-error.ts';
import type { Books } from '../books.ts';
import { type Endpoint, endpoint, PAGED } from '../endpoint.ts';
import type { Dunning } from '../invoices.ts';
import type { SessionObject } from '../objects.ts';
import { flag, listOf, metadata, oneOf, required, shape, text, textUpTo, url, whole } from '../parameters.ts';
import { start } from '../subscriptions.ts';
import { couponOf, discount, priceOf } from './catalog.ts';
import { customerOf } from './customers.ts';

const DAY_S = 86_400;
const HALF_HOUR_S = 1_800;

export function sessionOf(books: Books, id: string): SessionObject {
  const session = books.sessions.get(id);
  if (session === undefined) throw missing('checkout.session', id);
  return session;
}

export const checkoutEndpoints: readonly Endpoint[] = [
  endpoint(
    'POST',
    '/v1/checkout/sessions',
    {
      mode: oneOf('subscription'),
      ui_mode: oneOf('hosted_page'),
      customer: text,
      customer_update: shape({ address: oneOf('auto', 'never'), name: oneOf('auto', 'never') }),
      line_items: listOf(
        shape({
          price: text,
          quantity: whole,
          adjustable_quantity: shape({ enabled: flag, minimum: whole, maximum: whole }),
        }),
      ),
      success_url: url,
      cancel_url: url,
      client_reference_id: textUpTo(200),
      metadata,
      expires_at: whole,
      allow_promotion_codes: flag,
      automatic_tax: shape({ enabled: flag }),
      billing_address_collection: oneOf('auto', 'required'),
      tax_id_collection: shape({ enabled: flag }),
      locale: text,
      discounts: listOf(discount),
      payment_method_collection: oneOf('always', 'if_required'),
      subscription_data: shape({
        metadata,
        trial_period_days: whole,
        trial_settings: shape({
          end_behavior: shape({ missing_payment_method: oneOf('cancel', 'create_invoice', 'pause') }),
        }),
        proration_behavior: oneOf('create_prorations', 'none'),
      }),
    },
    ({ books, params }) => {
      required(params.mode, 'mode');
      const customer = customerOf(books, required(params.customer, 'customer'), 'customer');
      if (params.allow_promotion_codes !== undefined && params.discounts !== undefined)
        throw refused('You may only specify one of these parameters: allow_promotion_codes, discounts.');
      const trial = params.subscription_data?.trial_period_days ?? null;
      if (trial !== null && (trial < 1 || trial > 730))
        throw invalidParameter(
          'subscription_data[trial_period_days]',
          'The number of trial days must be from 1 to 730.',
        );
      const expiresAt = params.expires_at ?? books.now() + DAY_S;
      if (expiresAt < books.now() + HALF_HOUR_S || expiresAt > books.now() + DAY_S)
        throw invalidParameter(
          'expires_at',
          'The `expires_at` timestamp must be 30 minutes to 24 hours from now.',
        );
      if ((params.discounts?.length ?? 0) > 1)
        throw invalidParameter('discounts', 'Only one discount is supported.');
      if (params.automatic_tax?.enabled === true && params.customer_update?.address !== 'auto') {
        throw refused(
          'Automatic tax calculation in Checkout requires a valid address on the Customer. Set customer_update[address] to auto.',
        );
      }
      const lines = required(params.line_items, 'line_items').map(({ price, quantity }, index) => ({
        price: priceOf(books, required(price, `line_items[${index}][price]`), `line_items[${index}][price]`),
        quantity: required(quantity, `line_items[${index}][quantity]`),
      }));
      const inactive = lines.find(({ price }) => !price.active);
      if (inactive !== undefined)
        throw refused('The price specified is inactive. This field only accepts active prices.');
      const session: SessionObject = {
        id: books.id(books.livemode ? 'cs_live' : 'cs_test'),
        object: 'checkout.session',
        created: books.now(),
        customer: customer.id,
        mode: 'subscription',
        status: 'open',
        payment_status: 'unpaid',
        subscription: null,
        invoice: null,
        expires_at: expiresAt,
        success_url: required(params.success_url, 'success_url'),
        cancel_url: params.cancel_url ?? null,
        client_reference_id: params.client_reference_id ?? null,
        metadata: params.metadata ?? {},
        allow_promotion_codes: params.allow_promotion_codes ?? false,
        line_items: lines,
        subscription_data: {
          metadata: params.subscription_data?.metadata ?? {},
          trial_period_days: trial,
          missing_payment_method:
            params.subscription_data?.trial_settings?.end_behavior?.missing_payment_method ??
            'create_invoice',
        },
        payment_method_collection: params.payment_method_collection ?? 'always',
        coupons: (params.discounts ?? []).map((given, index) =>
          couponOf(books, given, `discounts[${index}]`),
        ),
        livemode: books.livemode,
      };
      books.sessions.set(session.id, session);
      return session;
    },
  ),
  endpoint(
    'GET',
    '/v1/checkout/sessions',
    { ...PAGED, customer: text, subscription: text, status: oneOf('open', 'complete', 'expired') },
    ({ books, params }) => ({
      url: '/v1/checkout/sessions',
      list: [...books.sessions.values()]
        .reverse()
        .filter(({ customer }) => (params.customer ?? customer) === customer)
        .filter(
          ({ subscription }) => params.subscription === undefined || params.subscription === subscription,
        )
        .filter(({ status }) => (params.status ?? status) === status),
    }),
  ),
  endpoint('GET', '/v1/checkout/sessions/:id', {}, ({ books, id }) => sessionOf(books, id)),
  endpoint('POST', '/v1/checkout/sessions/:id/expire', {}, ({ books, id }) => {
    const session = sessionOf(books, id);
    if (session.status !== 'open')
      throw refused(
        'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has another status.',
      );
    session.status = 'expired';
    books.emit('checkout.session.expired', session);
    return session;
  }),
];

/** Confirms an open page as the customer would. @throws ApiError if the page is not open */
export function confirmSession(books: Books, id: string, dunning: Dunning): SessionObject {
  const session = sessionOf(books, id);
  if (session.status !== 'open') throw refused(`This Checkout Session is ${session.status}.`);
  customerOf(books, session.customer, 'customer');
  const { trial_period_days: trialDays, metadata: data, missing_payment_method } = session.subscription_data;
  const subscription = start(
    books,
    {
      customer: session.customer,
      items: session.line_items,
      trialDays,
      missingPaymentMethod: missing_payment_method,
      metadata: data,
      coupons: session.coupons,
      paymentBehavior: 'error_if_incomplete',
    },
    dunning,
  );
  session.status = 'complete';
  session.subscription = subscription.id;
  session.invoice = subscription.latest_invoice;
  session.payment_status = trialDays === null ? 'paid' : 'no_payment_required';
  books.emit('checkout.session.completed', session);
  return session;
}
