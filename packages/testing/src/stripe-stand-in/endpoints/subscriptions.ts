import { invalidParameter, missing, refused } from '../api-error.ts';
import type { Books } from '../books.ts';
import { settle } from '../due.ts';
import { type Endpoint, endpoint, instantFilter, PAGED, PRORATION, within } from '../endpoint.ts';
import { demandCard } from '../invoices.ts';
import type { SubscriptionObject } from '../objects.ts';
import {
  clearable,
  either,
  flag,
  listOf,
  metadata,
  oneOf,
  required,
  shape,
  text,
  whole,
} from '../parameters.ts';
import { changeItems, end, hasEnded, setPeriod, setStatus, start } from '../subscriptions.ts';
import { couponOf, discount, priceOf } from './catalog.ts';
import { customerOf } from './customers.ts';

const MISSING_PAYMENT_METHOD = oneOf('cancel', 'create_invoice', 'pause');
const TRIAL_SETTINGS = shape({ end_behavior: shape({ missing_payment_method: MISSING_PAYMENT_METHOD }) });
const STATUSES = oneOf(
  'active',
  'all',
  'canceled',
  'ended',
  'incomplete',
  'incomplete_expired',
  'past_due',
  'paused',
  'trialing',
  'unpaid',
);

export function subscriptionOf(books: Books, id: string): SubscriptionObject {
  const subscription = books.subscriptions.get(id);
  if (subscription === undefined) throw missing('subscription', id);
  return subscription;
}

export const subscriptionEndpoints: readonly Endpoint[] = [
  endpoint(
    'POST',
    '/v1/subscriptions',
    {
      customer: text,
      items: listOf(shape({ price: text, quantity: whole, metadata })),
      trial_period_days: whole,
      trial_settings: TRIAL_SETTINGS,
      payment_behavior: oneOf('allow_incomplete', 'default_incomplete', 'error_if_incomplete'),
      proration_behavior: PRORATION,
      discounts: clearable(listOf(discount)),
      metadata,
    },
    ({ books, params, dunning }) => {
      const customer = customerOf(books, required(params.customer, 'customer'), 'customer');
      const items = required(params.items, 'items').map(({ price, quantity }, index) => ({
        price: priceOf(books, required(price, `items[${index}][price]`), `items[${index}][price]`),
        quantity: quantity ?? 1,
      }));
      return start(
        books,
        {
          customer: customer.id,
          items,
          trialDays: params.trial_period_days ?? null,
          missingPaymentMethod:
            params.trial_settings?.end_behavior?.missing_payment_method ?? 'create_invoice',
          metadata: params.metadata ?? {},
          coupons: (params.discounts ?? []).map((given, index) =>
            couponOf(books, given, `discounts[${index}]`),
          ),
          paymentBehavior: params.payment_behavior ?? 'allow_incomplete',
        },
        dunning,
      );
    },
  ),
  endpoint(
    'GET',
    '/v1/subscriptions',
    { ...PAGED, customer: text, price: text, status: STATUSES, created: instantFilter },
    ({ books, params }) => {
      if (params.customer !== undefined) customerOf(books, params.customer, 'customer');
      return {
        url: '/v1/subscriptions',
        list: [...books.subscriptions.values()]
          .reverse()
          .filter(({ customer }) => (params.customer ?? customer) === customer)
          .filter(
            ({ items }) => params.price === undefined || items.some(({ price }) => price.id === params.price),
          )
          .filter(({ created }) => within(created, params.created))
          .filter((one) => hasStatus(one, params.status)),
      };
    },
  ),
  endpoint('GET', '/v1/subscriptions/:id', {}, ({ books, id }) => subscriptionOf(books, id)),
  endpoint(
    'POST',
    '/v1/subscriptions/:id',
    {
      items: listOf(shape({ id: text, price: text, quantity: whole, deleted: flag, metadata })),
      proration_behavior: PRORATION,
      payment_behavior: oneOf('allow_incomplete', 'error_if_incomplete'),
      cancel_at_period_end: flag,
      cancel_at: clearable(either(whole, oneOf('max_period_end', 'min_period_end'))),
      trial_end: either(whole, oneOf('now')),
      trial_settings: TRIAL_SETTINGS,
      pause_collection: clearable(
        shape({ behavior: oneOf('keep_as_draft', 'mark_uncollectible', 'void'), resumes_at: whole }),
      ),
      discounts: clearable(listOf(discount)),
      metadata,
    },
    ({ books, id, params, dunning }) => {
      const subscription = subscriptionOf(books, id);
      if (hasEnded(subscription))
        throw refused('A canceled subscription can only update its cancellation_details and metadata.');
      if (params.cancel_at !== undefined && params.cancel_at_period_end !== undefined)
        throw refused('You may only specify one of these parameters: cancel_at, cancel_at_period_end.');
      const touchesEnd = params.cancel_at !== undefined || params.cancel_at_period_end !== undefined;
      if (touchesEnd && subscription.schedule !== null) {
        throw refused(
          `The subscription is managed by the subscription schedule \`${subscription.schedule}\`, and updating any cancelation behavior directly is not allowed. Please update the schedule instead.`,
        );
      }
      if (params.items !== undefined) {
        const changes = params.items.map((change, index) => ({
          id: change.id ?? null,
          price: change.price === undefined ? null : priceOf(books, change.price, `items[${index}][price]`),
          quantity: change.quantity ?? null,
          deleted: change.deleted ?? false,
        }));
        const proration = params.proration_behavior ?? 'create_prorations';
        const payment = params.payment_behavior ?? 'allow_incomplete';
        changeItems(books, subscription, changes, { proration, payment }, dunning);
      }
      const [first] = subscription.items;
      const periodEnd = first?.current_period_end ?? books.now();
      const endsWithPeriod = params.cancel_at_period_end;
      // `false` revokes only a cancellation at the period's end; a `cancel_at` date that was set separately stays.
      if (endsWithPeriod === true || (endsWithPeriod === false && subscription.cancel_at_period_end)) {
        subscription.cancel_at_period_end = endsWithPeriod;
        subscription.cancel_at = endsWithPeriod ? periodEnd : null;
        subscription.canceled_at = endsWithPeriod ? books.now() : null;
      }
      if (params.cancel_at !== undefined) {
        const at = typeof params.cancel_at === 'string' ? periodEnd : params.cancel_at;
        if (at !== null && at <= books.now())
          throw invalidParameter('cancel_at', 'cancel_at must be in the future.');
        subscription.cancel_at = at;
        subscription.cancel_at_period_end = false;
        subscription.canceled_at = at === null ? null : books.now();
      }
      if (params.trial_end !== undefined) moveTrial(books, subscription, params.trial_end);
      if (params.trial_settings?.end_behavior?.missing_payment_method !== undefined) {
        const { missing_payment_method } = params.trial_settings.end_behavior;
        subscription.trial_settings = { end_behavior: { missing_payment_method } };
      }
      if (params.pause_collection !== undefined) {
        subscription.pause_collection =
          params.pause_collection === null
            ? null
            : {
                behavior: required(params.pause_collection.behavior, 'pause_collection[behavior]'),
                resumes_at: params.pause_collection.resumes_at ?? null,
              };
      }
      if (params.discounts !== undefined)
        subscription.coupons = (params.discounts ?? []).map((given, index) =>
          couponOf(books, given, `discounts[${index}]`),
        );
      if (params.metadata !== undefined)
        subscription.metadata = { ...subscription.metadata, ...params.metadata };
      books.emit('customer.subscription.updated', subscription);
      return subscription;
    },
  ),
  endpoint('POST', '/v1/subscriptions/:id/resume', { proration_behavior: PRORATION }, ({ books, id }) => {
    const subscription = subscriptionOf(books, id);
    if (subscription.status !== 'paused') throw refused('Only paused subscriptions can be resumed.');
    demandCard(books, subscription.customer);
    setStatus(books, subscription, 'active');
    books.emit('customer.subscription.resumed', subscription);
    return subscription;
  }),
  endpoint('DELETE', '/v1/subscriptions/:id', { invoice_now: flag, prorate: flag }, ({ books, id }) => {
    const subscription = subscriptionOf(books, id);
    // An ended subscription is not found here, although it can still be retrieved.
    if (hasEnded(subscription)) throw missing('subscription', id);
    const wasIncomplete = subscription.status === 'incomplete';
    end(books, subscription, wasIncomplete ? 'incomplete_expired' : 'canceled');
    return subscription;
  }),
  endpoint('GET', '/v1/invoices', { ...PAGED, customer: text, subscription: text }, ({ books, params }) => ({
    url: '/v1/invoices',
    list: [...books.invoices.values()]
      .reverse()
      .filter(({ customer }) => (params.customer ?? customer) === customer)
      .filter(({ subscription }) => (params.subscription ?? subscription) === subscription),
  })),
  endpoint('GET', '/v1/invoices/:id', {}, ({ books, id }) => {
    const invoice = books.invoices.get(id);
    if (invoice === undefined) throw missing('invoice', id);
    return invoice;
  }),
  endpoint('POST', '/v1/invoices/:id/pay', {}, ({ books, id }) => {
    const invoice = books.invoices.get(id);
    if (invoice === undefined) throw missing('invoice', id);
    if (invoice.status !== 'open') throw refused(`Invoice is already ${invoice.status}.`);
    demandCard(books, invoice.customer);
    invoice.status = 'paid';
    invoice.amount_paid = invoice.amount_due;
    invoice.next_payment_attempt = null;
    books.emit('invoice.paid', invoice);
    books.emit('invoice.payment_succeeded', invoice);
    const subscription = books.subscriptions.get(invoice.subscription);
    if (subscription !== undefined && !hasEnded(subscription)) settle(books, subscription);
    return invoice;
  }),
];

function hasStatus(
  subscription: SubscriptionObject,
  status: ReturnType<typeof STATUSES> | undefined,
): boolean {
  if (status === 'all') return true;
  if (status === undefined) return !hasEnded(subscription);
  return status === 'ended' ? hasEnded(subscription) : subscription.status === status;
}

function moveTrial(books: Books, subscription: SubscriptionObject, to: number | 'now'): void {
  const at = to === 'now' ? books.now() : to;
  if (to !== 'now' && at <= books.now())
    throw invalidParameter('trial_end', 'trial_end must be in the future.');
  subscription.trial_start ??= books.now();
  subscription.trial_end = at;
  subscription.billing_cycle_anchor = at;
  if (subscription.status === 'active') subscription.status = 'trialing';
  setPeriod(subscription, books.now(), at);
}
