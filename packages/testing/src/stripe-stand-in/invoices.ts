import { cardDeclined } from './api-error.ts';
import type { Books } from './books.ts';
import type { InvoiceObject, SubscriptionObject } from './objects.ts';

const DAY_S = 86_400;

/** What happens to a subscription whose invoice stays unpaid. */
export interface Dunning {
  /** Days from each failed attempt to the next. */
  readonly retryDays: readonly number[];
  /** The subscription's status after the last attempt has failed. */
  readonly lastly: 'canceled' | 'unpaid' | 'past_due';
}

/** Whether a charge to the customer's card would succeed. */
export function cardWorks(books: Books, customer: string): boolean {
  return books.cards.get(customer) === 'works';
}

/** Creates an invoice for the subscription's current cost and tries to collect it. Never throws: the invoice says how it went. */
export function bill(
  books: Books,
  subscription: SubscriptionObject,
  reason: InvoiceObject['billing_reason'],
  dunning: Dunning,
  options: { readonly withPeriod: boolean },
): InvoiceObject {
  const lines = [];
  if (options.withPeriod) {
    for (const { price, quantity } of subscription.items)
      lines.push({ description: price.nickname ?? price.id, amount: price.unit_amount * quantity });
  }
  const prorated = books.pending.get(subscription.id) ?? 0;
  books.pending.delete(subscription.id);
  if (prorated !== 0) lines.push({ description: 'Prorations', amount: prorated });
  const sum = lines.reduce((total, line) => total + line.amount, 0);
  const off = discount(books, subscription, sum);
  if (off !== 0) lines.push({ description: 'Discounts', amount: -off });
  const invoice: InvoiceObject = {
    id: books.id('in'),
    object: 'invoice',
    created: books.now(),
    customer: subscription.customer,
    subscription: subscription.id,
    billing_reason: reason,
    currency: subscription.currency,
    amount_due: Math.max(0, sum - off),
    amount_paid: 0,
    attempt_count: 0,
    next_payment_attempt: null,
    status: 'open',
    lines,
    livemode: books.livemode,
  };
  books.invoices.set(invoice.id, invoice);
  subscription.latest_invoice = invoice.id;
  books.emit('invoice.created', invoice);
  books.emit('invoice.finalized', invoice);
  attempt(books, invoice, dunning);
  return invoice;
}

/** Retries the collection of an open invoice. The caller decides what the result means for the subscription. */
export function attempt(books: Books, invoice: InvoiceObject, dunning: Dunning): boolean {
  if (invoice.amount_due === 0 || cardWorks(books, invoice.customer)) {
    if (invoice.amount_due > 0) invoice.attempt_count += 1;
    invoice.status = 'paid';
    invoice.amount_paid = invoice.amount_due;
    invoice.next_payment_attempt = null;
    books.emit('invoice.paid', invoice);
    books.emit('invoice.payment_succeeded', invoice);
    return true;
  }
  invoice.attempt_count += 1;
  const days =
    invoice.billing_reason === 'subscription_create'
      ? undefined
      : dunning.retryDays[invoice.attempt_count - 1];
  invoice.next_payment_attempt = days === undefined ? null : books.now() + days * DAY_S;
  books.emit('invoice.payment_failed', invoice);
  return false;
}

/** @throws ApiError `card_declined` if a charge to the customer's card would fail. */
export function demandCard(books: Books, customer: string): void {
  if (!cardWorks(books, customer)) throw cardDeclined();
}

function discount(books: Books, subscription: SubscriptionObject, sum: number): number {
  let off = 0;
  for (const id of [...subscription.coupons]) {
    const coupon = books.coupons.get(id);
    if (coupon === undefined) continue;
    off += coupon.amount_off ?? Math.round((sum * (coupon.percent_off ?? 0)) / 100);
    if (coupon.duration === 'once') subscription.coupons = subscription.coupons.filter((one) => one !== id);
  }
  return Math.min(off, Math.max(0, sum));
}
