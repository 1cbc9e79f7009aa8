import type { BillingEventKind } from '@tollgate/core';

const KINDS: ReadonlyMap<string, BillingEventKind> = new Map([
  ['customer.subscription.created', 'subscription_created'],
  ['customer.subscription.deleted', 'subscription_canceled'],
  ['invoice.paid', 'invoice_paid'],
  ['invoice.payment_failed', 'invoice_failed'],
]);

/** The event types that an endpoint should receive, and that are looked up in the history for deliveries that never came. */
export const EVENT_TYPES = [
  'checkout.session.completed',
  'checkout.session.async_payment_succeeded',
  'checkout.session.expired',
  'customer.subscription.created',
  'customer.subscription.updated',
  'customer.subscription.deleted',
  'customer.subscription.paused',
  'customer.subscription.resumed',
  'invoice.paid',
  'invoice.payment_failed',
  'subscription_schedule.updated',
  'subscription_schedule.released',
  'subscription_schedule.canceled',
] as const;

/** The kind of an event type. `invoice.payment_succeeded` repeats `invoice.paid`, so it is of kind `other`. */
export function kindOf(type: string): BillingEventKind {
  const kind = KINDS.get(type);
  if (kind !== undefined) return kind;
  const isSubscription =
    type.startsWith('customer.subscription.') || type.startsWith('subscription_schedule.');
  return isSubscription ? 'subscription_updated' : 'other';
}
