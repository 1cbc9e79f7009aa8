import type { Clock } from '@tollgate/core';
import type { Card } from './books.ts';
import type { DeliveryAnswer, DeliveryRule } from './deliveries.ts';
import type { FaultFilter, StandInFault } from './faults.ts';
import type { Dunning } from './invoices.ts';
import type {
  CustomerObject,
  EventObject,
  Interval,
  InvoiceObject,
  PriceObject,
  SessionObject,
  Status,
  SubscriptionObject,
} from './objects.ts';

/** Options of a stand-in. Each has a default. */
export interface StripeStandInOptions {
  /** Where events are posted: the app's webhook route, or a function if the app's port is known only later. @default none */
  readonly webhookUrl?: string | (() => string | null);
  /** @default a random one */
  readonly webhookSecret?: string;
  /** The only API key it accepts. @default a random one */
  readonly secretKey?: string;
  /** @default a free one */
  readonly port?: number;
  /** The API version of events, and of requests that do not name one. @default '2026-10-28.endive' */
  readonly apiVersion?: string;
  /** Whether it stands for an account's live mode rather than its test mode. @default false */
  readonly livemode?: boolean;
  /** Its clock, also used to sign webhooks. @default the real time */
  readonly clock?: Clock;
  /** @default three retries after 3, 5 and 7 days, then the subscription is canceled */
  readonly dunning?: Dunning;
  /** Delays before an event that the app did not accept is posted again, ms. @default [100, 500, 2_000] */
  readonly retryDelaysMs?: readonly number[];
}

/** A webhook as Stripe would post it now. */
export interface SignedStripeWebhook {
  readonly bytes: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** One request the stand-in received, without its key. */
export interface StandInRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly idempotencyKey: string | null;
  readonly stripeVersion: string | null;
  readonly stripeAccount: string | null;
}

/** A Stripe of your own on loopback, with its API, pages, clock and signed webhooks. */
export interface StripeStandIn {
  /** `http://127.0.0.1:<port>`: the `apiBase` of a client, and the origin of the pages. */
  readonly origin: string;
  readonly secretKey: string;
  /** The secrets that webhooks are signed with; two during a rotation. */
  webhookSecrets: readonly string[];

  /** Adds a price with a product of its own; returns the price's id. */
  addPrice(price: { amount: number; interval?: Interval; name?: string; currency?: string }): string;
  /** The customer pays on an open page with a card that works; returns the subscription's id. */
  pay(sessionId: string): string;
  /** Sets how a customer's card behaves from now on; one that works pays what is owed. */
  setCard(customerId: string, card: Card): void;
  /** Deletes a customer for good, as from Stripe's dashboard: its subscriptions end, and it can no longer buy anything. */
  deleteCustomer(customerId: string): void;
  /** Forgets customers, subscriptions and pages, as Stripe does when test data is deleted. No events are sent. */
  wipe(): void;
  /** Sets a subscription's status at once, with the corresponding events. */
  setStatus(subscriptionId: string, status: Status): void;
  /** Advances its own time by `ms` and runs what falls due on the way: renewals, ends of trials, retries, expiries. */
  advance(ms: number): void;
  /** Runs what has fallen due by the clock. Every request does so first, so this is only needed to inspect the state without a request. */
  tick(): void;
  /** When the next thing falls due, epoch ms; null if nothing will. */
  nextDueAt(): number | null;
  /** Its time, epoch ms. */
  now(): number;

  /** Every event so far, oldest first. */
  events(): readonly EventObject[];
  /** An event as it would be posted now. @throws if there is no such event */
  signed(eventId: string): SignedStripeWebhook;
  /** The same event in the thin form. @throws if there is none in that form */
  signedThin(eventId: string): SignedStripeWebhook;
  /** Signs any bytes. @param at - epoch ms, now by default */
  sign(bytes: Uint8Array, at?: number): Readonly<Record<string, string>>;
  /** Sets what happens to each event from now on. @default every event is sent once */
  setDelivery(rule: DeliveryRule): void;
  /** Events that were held back, oldest first. */
  held(): readonly EventObject[];
  /** Posts events now, in this order, each as often as it is listed; returns the app's responses. */
  deliver(eventIds: readonly string[]): Promise<readonly DeliveryAnswer[]>;
  /** The app's response to every delivery so far. */
  answers(): readonly DeliveryAnswer[];
  /** Resolves when no delivery is in flight and none is waiting for a retry. */
  settled(): Promise<void>;

  /** Makes the next API calls fail. */
  failNext(fault: StandInFault, filter?: FaultFilter): void;
  /** Makes every API call fail, until it is called with null. */
  failAll(fault: StandInFault | null): void;
  /** Every API request so far. */
  requests(): readonly StandInRequest[];
  /** What it holds, for inspection. */
  contents(): {
    readonly customers: readonly CustomerObject[];
    readonly subscriptions: readonly SubscriptionObject[];
    readonly sessions: readonly SessionObject[];
    readonly invoices: readonly InvoiceObject[];
    readonly prices: readonly PriceObject[];
  };
  close(): Promise<void>;
}
