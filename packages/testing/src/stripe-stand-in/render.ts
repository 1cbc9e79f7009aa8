import type { Books } from './books.ts';
import type {
  InvoiceObject,
  ItemObject,
  PriceObject,
  ScheduleObject,
  SessionObject,
  StripeObject,
  SubscriptionObject,
} from './objects.ts';

type Json = Record<string, unknown>;

/** From this version on, periods are on the items, and an invoice names its subscription under `parent`. */
const PERIODS_ON_ITEMS = '2025-03-31';
/** From this version on, a paused subscription states the reason. */
const PAUSES_HAVE_REASONS = '2026-09-30';

/**
 * An object as the given API version shows it.
 *
 * @param version - such as `2026-10-28.endive`; older ones show periods on the subscription and `invoice.subscription`
 * @param expand - paths as in the `expand` parameter, such as `schedule`
 */
export function render(
  books: Books,
  object: StripeObject,
  version: string,
  expand: readonly string[] = [],
): Json {
  const isNew = version.slice(0, 10) >= PERIODS_ON_ITEMS;
  switch (object.object) {
    case 'subscription':
      return subscription(books, object as SubscriptionObject, isNew, version, expand);
    case 'invoice':
      return invoice(object as InvoiceObject, isNew);
    case 'checkout.session':
      return session(books, object as SessionObject, expand);
    case 'subscription_schedule':
      return schedule(object as ScheduleObject);
    case 'price':
      return price(object as PriceObject);
    default:
      return structuredClone(object) as unknown as Json;
  }
}

export function listOf(items: readonly Json[], url: string, hasMore = false): Json {
  return { object: 'list', data: items, has_more: hasMore, url };
}

function price(object: PriceObject): Json {
  return {
    ...structuredClone(object),
    unit_amount_decimal: String(object.unit_amount),
    tiers_mode: null,
    transform_quantity: null,
  };
}

/** The legacy plan, which still accompanies every price. */
function plan({
  id,
  active,
  unit_amount,
  created,
  currency,
  recurring,
  product,
  livemode,
}: PriceObject): Json {
  return {
    id,
    object: 'plan',
    active,
    amount: unit_amount,
    created,
    currency,
    interval: recurring.interval,
    interval_count: recurring.interval_count,
    livemode,
    product,
    usage_type: recurring.usage_type,
  };
}

function item(object: ItemObject, isNew: boolean): Json {
  const { current_period_start, current_period_end, ...others } = object;
  const periods = isNew ? { current_period_start, current_period_end } : {};
  return {
    ...others,
    ...periods,
    metadata: {},
    price: price(object.price),
    plan: plan(object.price),
    discounts: [],
    tax_rates: [],
  };
}

function subscription(
  books: Books,
  object: SubscriptionObject,
  isNew: boolean,
  version: string,
  expand: readonly string[],
): Json {
  const { items, coupons, pause, ...others } = structuredClone(object);
  const [first] = items;
  const scheduled = object.schedule === null ? null : books.schedules.get(object.schedule);
  const newest = object.latest_invoice === null ? null : books.invoices.get(object.latest_invoice);
  return {
    ...others,
    ...(pause !== null && object.status === 'paused' && version.slice(0, 10) >= PAUSES_HAVE_REASONS
      ? { status_details: { paused: { type: 'subscription', ...pause } } }
      : {}),
    ...(isNew
      ? {}
      : { current_period_start: first?.current_period_start, current_period_end: first?.current_period_end }),
    ...(items.length === 1 && first !== undefined
      ? { plan: plan(first.price), quantity: first.quantity }
      : {}),
    items: listOf(
      items.map((one) => item(one, isNew)),
      `/v1/subscription_items?subscription=${object.id}`,
    ),
    discounts: coupons.map((coupon) => `di_${coupon}`),
    schedule: expand.includes('schedule') && scheduled ? schedule(scheduled) : object.schedule,
    latest_invoice:
      expand.includes('latest_invoice') && newest ? render(books, newest, version) : object.latest_invoice,
    automatic_tax: { enabled: false, disabled_reason: null, liability: null },
    days_until_due: null,
    default_payment_method: null,
    pending_setup_intent: null,
    pending_update: null,
    start_date: object.created,
    test_clock: null,
    application: null,
  };
}

function invoice(object: InvoiceObject, isNew: boolean): Json {
  const { subscription: id, lines, ...others } = structuredClone(object);
  const of = isNew
    ? {
        parent: {
          type: 'subscription_details',
          quote_details: null,
          subscription_details: { subscription: id, metadata: {} },
        },
      }
    : { subscription: id, paid: object.status === 'paid' };
  return {
    ...others,
    ...of,
    amount_remaining: object.amount_due - object.amount_paid,
    attempted: object.attempt_count > 0,
    auto_advance: object.status === 'open',
    collection_method: 'charge_automatically',
    hosted_invoice_url: `${'https://invoice.stripe.com'}/i/${object.id}`,
    lines: listOf(
      lines.map((line, index) => ({ id: `il_${index}_${object.id}`, object: 'line_item', ...line })),
      `/v1/invoices/${object.id}/lines`,
    ),
    total: object.amount_due,
  };
}

function schedule(object: ScheduleObject): Json {
  return {
    ...structuredClone(object),
    canceled_at: null,
    completed_at: null,
    released_at: null,
    test_clock: null,
  };
}

function session(books: Books, object: SessionObject, expand: readonly string[]): Json {
  const { line_items, coupons, subscription_data: _, ...others } = structuredClone(object);
  const lines = line_items.map(({ price: of, quantity }, index) => ({
    id: `li_${index}_${object.id}`,
    object: 'item',
    amount_total: of.unit_amount * quantity,
    currency: of.currency,
    description: of.nickname,
    price: price(of),
    quantity,
  }));
  return {
    ...others,
    url: object.status === 'open' ? books.pageUrl(`/c/pay/${object.id}`) : null,
    ui_mode: 'hosted_page',
    currency: line_items[0]?.price.currency ?? null,
    discounts: coupons.map((coupon) => ({ coupon, promotion_code: null })),
    ...(expand.includes('line_items')
      ? { line_items: listOf(lines, `/v1/checkout/sessions/${object.id}/line_items`) }
      : {}),
  };
}
