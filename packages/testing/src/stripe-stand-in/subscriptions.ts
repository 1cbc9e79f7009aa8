import { cardDeclined, refused } from './api-error.ts';
import type { Books } from './books.ts';
import { nextPeriodEnd } from './calendar.ts';
import { bill, cardWorks, type Dunning } from './invoices.ts';
import type { ItemObject, PriceObject, Status, SubscriptionObject } from './objects.ts';

const DAY_S = 86_400;
const ENDED: ReadonlySet<Status> = new Set(['canceled', 'incomplete_expired']);

export interface StartRequest {
  readonly customer: string;
  readonly items: readonly { readonly price: PriceObject; readonly quantity: number }[];
  readonly trialDays: number | null;
  readonly missingPaymentMethod: 'cancel' | 'create_invoice' | 'pause';
  readonly metadata: Readonly<Record<string, string>>;
  readonly coupons: readonly string[];
  readonly paymentBehavior: 'allow_incomplete' | 'default_incomplete' | 'error_if_incomplete';
}

export interface ItemChange {
  readonly id: string | null;
  readonly price: PriceObject | null;
  readonly quantity: number | null;
  readonly deleted: boolean;
}

export function hasEnded({ status }: SubscriptionObject): boolean {
  return ENDED.has(status);
}

/** Starts a subscription: trialing, active if its first invoice is paid, else incomplete. */
export function start(books: Books, request: StartRequest, dunning: Dunning): SubscriptionObject {
  const now = books.now();
  const [first] = request.items;
  if (first === undefined) throw refused('A subscription needs an item.');
  const trialEnd = request.trialDays === null ? null : now + request.trialDays * DAY_S;
  if (
    trialEnd === null &&
    request.paymentBehavior === 'error_if_incomplete' &&
    !cardWorks(books, request.customer)
  )
    throw cardDeclined();
  const id = books.id('sub');
  const subscription: SubscriptionObject = {
    id,
    object: 'subscription',
    created: now,
    customer: request.customer,
    currency: first.price.currency,
    status: trialEnd === null ? 'incomplete' : 'trialing',
    items: request.items.map(({ price, quantity }) => item(books, id, price, quantity)),
    billing_cycle_anchor: trialEnd ?? now,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    ended_at: null,
    trial_start: trialEnd === null ? null : now,
    trial_end: trialEnd,
    trial_settings: { end_behavior: { missing_payment_method: request.missingPaymentMethod } },
    pause_collection: null,
    pause: null,
    schedule: null,
    latest_invoice: null,
    coupons: [...request.coupons],
    metadata: request.metadata,
    collection_method: 'charge_automatically',
    livemode: books.livemode,
  };
  books.subscriptions.set(id, subscription);
  setPeriod(subscription, now, trialEnd ?? nextPeriodEnd(now, now, first.price.recurring));
  books.emit('customer.subscription.created', subscription);
  if (trialEnd !== null) return subscription;
  const invoice = bill(books, subscription, 'subscription_create', dunning, { withPeriod: true });
  if (invoice.status === 'paid') setStatus(books, subscription, 'active');
  return subscription;
}

/** Changes items, with prorations as requested; a different interval begins a new period at once. */
export function changeItems(
  books: Books,
  subscription: SubscriptionObject,
  changes: readonly ItemChange[],
  behaviour: {
    readonly proration: 'create_prorations' | 'always_invoice' | 'none';
    readonly payment: string;
  },
  dunning: Dunning,
): void {
  const before = costOf(subscription);
  const interval = JSON.stringify(subscription.items[0]?.price.recurring);
  const next = subscription.items.map((one) => ({ ...one }));
  for (const change of changes) apply(books, subscription, next, change);
  if (next.length === 0) throw refused('A subscription must have at least one active plan.');
  const turns = JSON.stringify(next[0]?.price.recurring) !== interval;
  const isBilled = subscription.status === 'active' || subscription.status === 'past_due';
  const collectsNow = isBilled && (turns || behaviour.proration === 'always_invoice');
  if (collectsNow && behaviour.payment === 'error_if_incomplete' && !cardWorks(books, subscription.customer))
    throw cardDeclined();

  const now = books.now();
  const [first] = subscription.items;
  const share = first === undefined ? 0 : remaining(first, now);
  subscription.items = next;
  if (isBilled && behaviour.proration !== 'none') {
    const after = turns ? 0 : costOf(subscription);
    const prorated = Math.round((after - before) * share);
    books.pending.set(subscription.id, (books.pending.get(subscription.id) ?? 0) + prorated);
  }
  if (turns && isBilled && next[0] !== undefined) {
    subscription.billing_cycle_anchor = now;
    setPeriod(subscription, now, nextPeriodEnd(now, now, next[0].price.recurring));
  }
  if (collectsNow) {
    const invoice = bill(books, subscription, 'subscription_update', dunning, { withPeriod: turns });
    if (invoice.status !== 'paid') subscription.status = 'past_due';
  }
}

/** Ends a subscription now. Its open invoices can still be paid, but are no longer collected automatically. */
export function end(
  books: Books,
  subscription: SubscriptionObject,
  status: 'canceled' | 'incomplete_expired' = 'canceled',
): void {
  if (hasEnded(subscription)) return;
  const now = books.now();
  subscription.status = status;
  subscription.ended_at = now;
  subscription.canceled_at ??= now;
  for (const invoice of books.invoices.values()) {
    if (invoice.subscription === subscription.id) invoice.next_payment_attempt = null;
  }
  const schedule = subscription.schedule === null ? undefined : books.schedules.get(subscription.schedule);
  if (schedule !== undefined) {
    schedule.status = 'canceled';
    schedule.current_phase = null;
    books.emit('subscription_schedule.canceled', schedule);
  }
  books.emit(
    status === 'canceled' ? 'customer.subscription.deleted' : 'customer.subscription.updated',
    subscription,
  );
}

export function setStatus(books: Books, subscription: SubscriptionObject, status: Status): void {
  if (subscription.status === status) return;
  subscription.status = status;
  books.emit('customer.subscription.updated', subscription);
}

/** Pauses a subscription: no invoice is created until it is resumed. */
export function pause(
  books: Books,
  subscription: SubscriptionObject,
  type: 'trial_end_without_payment_method' | 'pause_requested',
): void {
  subscription.status = 'paused';
  subscription.pause = { transitioned_at: books.now(), subscription: { type } };
  books.emit('customer.subscription.updated', subscription);
  books.emit('customer.subscription.paused', subscription);
}

export function setPeriod(subscription: SubscriptionObject, from: number, to: number): void {
  for (const one of subscription.items) {
    one.current_period_start = from;
    one.current_period_end = to;
  }
  if (subscription.cancel_at_period_end) subscription.cancel_at = to;
}

function apply(
  books: Books,
  subscription: SubscriptionObject,
  items: ItemObject[],
  change: ItemChange,
): void {
  if (change.id === null) {
    if (change.price === null) throw refused('An item needs a price.');
    const [like] = items;
    const made = item(books, subscription.id, change.price, change.quantity ?? 1);
    if (items.some((one) => one.price.id === made.price.id))
      throw refused(`Cannot add multiple subscription items with the same plan: ${made.price.id}`);
    if (like !== undefined) {
      made.current_period_start = like.current_period_start;
      made.current_period_end = like.current_period_end;
    }
    items.push(made);
    return;
  }
  const index = items.findIndex((one) => one.id === change.id);
  const found = items[index];
  if (found === undefined) throw refused(`Invalid subscription item: ${change.id}`, 'resource_missing');
  if (change.deleted) items.splice(index, 1);
  else {
    found.price = change.price ?? found.price;
    // A change of the price alone resets the quantity to 1, so a caller that wants to keep the seats has to send it.
    found.quantity = change.quantity ?? (change.price === null ? found.quantity : 1);
  }
}

function item(books: Books, subscription: string, price: PriceObject, quantity: number): ItemObject {
  return {
    id: books.id('si'),
    object: 'subscription_item',
    created: books.now(),
    price,
    quantity,
    current_period_start: books.now(),
    current_period_end: books.now(),
    subscription,
    metadata: {},
  };
}

function costOf({ items }: SubscriptionObject): number {
  return items.reduce((sum, { price, quantity }) => sum + price.unit_amount * quantity, 0);
}

function remaining({ current_period_start: from, current_period_end: to }: ItemObject, now: number): number {
  return to <= from ? 0 : Math.min(1, Math.max(0, (to - now) / (to - from)));
}
