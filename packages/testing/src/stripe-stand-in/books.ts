import { randomBytes } from 'node:crypto';
import type {
  CouponObject,
  CustomerObject,
  DeletedCustomerObject,
  EventObject,
  InvoiceObject,
  PortalConfigurationObject,
  PortalSessionObject,
  PriceObject,
  ProductObject,
  PromotionCodeObject,
  ScheduleObject,
  SessionObject,
  StripeObject,
  SubscriptionObject,
} from './objects.ts';
import { render } from './render.ts';

/** How a customer's card behaves when charged. */
export type Card = 'works' | 'declined' | 'none';

/** The stand-in's whole state, and the only place where events are written. */
export interface Books {
  readonly customers: Map<string, CustomerObject>;
  readonly deletedCustomers: Map<string, DeletedCustomerObject>;
  readonly products: Map<string, ProductObject>;
  readonly prices: Map<string, PriceObject>;
  readonly coupons: Map<string, CouponObject>;
  readonly promotionCodes: Map<string, PromotionCodeObject>;
  readonly subscriptions: Map<string, SubscriptionObject>;
  readonly schedules: Map<string, ScheduleObject>;
  readonly invoices: Map<string, InvoiceObject>;
  readonly sessions: Map<string, SessionObject>;
  readonly portalConfigurations: Map<string, PortalConfigurationObject>;
  readonly portalSessions: Map<string, PortalSessionObject>;
  /** Oldest first. */
  readonly events: Map<string, EventObject>;
  readonly cards: Map<string, Card>;
  /** By subscription: the proration amounts that its next invoice will include. */
  readonly pending: Map<string, number>;
  readonly livemode: boolean;
  /** The stand-in's time, epoch seconds. */
  now(): number;
  /** Sets the time at which the next changes happen, epoch seconds; null returns to the clock. */
  setTime(at: number | null): void;
  id(prefix: string): string;
  pageUrl(path: string): string;
  /** Writes an event with a snapshot of the object. */
  emit(type: string, object: StripeObject): void;
  /** The API request being handled, recorded in the events it causes. */
  request: { readonly id: string; readonly idempotencyKey: string | null } | null;
}

export function createBooks(options: {
  readonly nowMs: () => number;
  readonly livemode: boolean;
  /** The version events are written in. */
  readonly apiVersion: string;
  readonly origin: () => string;
  readonly onEvent: (event: EventObject) => void;
}): Books {
  let fixed: number | null = null;
  const books: Books = {
    customers: new Map(),
    deletedCustomers: new Map(),
    products: new Map(),
    prices: new Map(),
    coupons: new Map(),
    promotionCodes: new Map(),
    subscriptions: new Map(),
    schedules: new Map(),
    invoices: new Map(),
    sessions: new Map(),
    portalConfigurations: new Map(),
    portalSessions: new Map(),
    events: new Map(),
    cards: new Map(),
    pending: new Map(),
    livemode: options.livemode,
    request: null,
    now: () => fixed ?? Math.floor(options.nowMs() / 1_000),
    setTime: (at) => {
      fixed = at;
    },
    id: (prefix) => `${prefix}_${randomBytes(12).toString('hex')}`,
    pageUrl: (path) => `${options.origin()}${path}`,
    emit(type, object) {
      const event: EventObject = {
        id: books.id('evt'),
        object: 'event',
        api_version: options.apiVersion,
        created: books.now(),
        data: { object: render(books, object, options.apiVersion) },
        livemode: books.livemode,
        pending_webhooks: 1,
        request: { id: books.request?.id ?? null, idempotency_key: books.request?.idempotencyKey ?? null },
        type,
      };
      books.events.set(event.id, event);
      options.onEvent(event);
    },
  };
  return books;
}
