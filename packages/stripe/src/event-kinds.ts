import type { BillingEventKind } from '@tollgate/core';

const KINDS: ReadonlyMap<string, BillingEventKind> = new Map([
  ['customer.subscription.created', 'subscription_created'],
  ['customer.subscription.deleted', 'subscription_canceled'],
  ['invoice.paid', 'invoice_paid'],
  ['invoice.payment_failed', 'invoice_failed'],
]);

/** The event types that an endpoint should be sent, and that are looked for when some never came. */
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

/** What a type of event means here. `invoice.payment_succeeded` says what `invoice.paid` says, so it is nothing. */
export function kindOf(type: string): BillingEventKind {
  const kind = KINDS.get(type);
  if (kind !== undefined) return kind;
  const isSubscription =
    type.startsWith('customer.subscription.') || type.startsWith('subscription_schedule.');
  return isSubscription ? 'subscription_updated' : 'other';
}
