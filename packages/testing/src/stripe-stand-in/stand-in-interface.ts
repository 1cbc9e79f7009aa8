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

/** What a stand-in is made of. Everything has a default. */
export interface StripeStandInOptions {
  /** Where events are posted: the app's webhook route, or a function for an app that learns its port late. @default none */
  readonly webhookUrl?: string | (() => string | null);
  /** @default a random one */
  readonly webhookSecret?: string;
  /** The only API key it takes. @default a random one */
  readonly secretKey?: string;
  /** @default a free one */
  readonly port?: number;
  /** The API version of events, and of requests that name none. @default '2026-10-28.endive' */
  readonly apiVersion?: string;
  /** Whether it is an account's live mode, or its test mode. @default false */
  readonly livemode?: boolean;
  /** Its time, and the time webhooks are signed with. @default the real one */
  readonly clock?: Clock;
  /** @default three retries after 3, 5 and 7 days, then canceled */
  readonly dunning?: Dunning;
  /** Waits before an event that the app did not take is posted again, ms. @default [100, 500, 2_000] */
  readonly retryDelaysMs?: readonly number[];
}

/** A webhook as Stripe would post it now. */
export interface SignedStripeWebhook {
  readonly bytes: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** One request the stand-in got, without its key. */
export interface StandInRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly idempotencyKey: string | null;
  readonly stripeVersion: string | null;
  readonly stripeAccount: string | null;
}

/** A Stripe of one's own on loopback: its API, its pages, its clock and its signed webhooks. */
export interface StripeStandIn {
  /** `http://127.0.0.1:<port>`: the `apiBase` of a client, and where its pages are. */
  readonly origin: string;
  readonly secretKey: string;
  /** The secrets webhooks are signed with; a second one during a roll-over. */
  webhookSecrets: readonly string[];

  /** Adds a price with a product of its own; answers its id. */
  addPrice(price: { amount: number; interval?: Interval; name?: string; currency?: string }): string;
  /** The customer pays on an open page with a card that works; answers the subscription's id. */
  pay(sessionId: string): string;
  /** Sets how a customer's card behaves from now on; one that works pays what is owed. */
  setCard(customerId: string, card: Card): void;
  /** Deletes a customer for good, as at Stripe's desk: its subscriptions end, and it can buy nothing any more. */
  deleteCustomer(customerId: string): void;
  /** Forgets customers, subscriptions and pages, as Stripe does when test data is deleted. Nobody is told. */
  wipe(): void;
  /** Sets a subscription's status at once, with the events that go with it. */
  setStatus(subscriptionId: string, status: Status): void;
  /** Moves its own time on by `ms` and does what falls due on the way: renewals, ends of trials, retries, expiries. */
  advance(ms: number): void;
  /** Does what fell due by the clock. Every request does that first, so this is for looking without asking. */
  tick(): void;
  /** When the next thing falls due, epoch ms; null when nothing will. */
  nextDueAt(): number | null;
  /** Its time, epoch ms. */
  now(): number;

  /** Every event so far, oldest first. */
  events(): readonly EventObject[];
  /** An event as it would be posted now. @throws when there is none */
  signed(eventId: string): SignedStripeWebhook;
  /** The same event in the thin form. @throws when there is none of that form */
  signedThin(eventId: string): SignedStripeWebhook;
  /** Signs any bytes. @param at - epoch ms, now by default */
  sign(bytes: Uint8Array, at?: number): Readonly<Record<string, string>>;
  /** Decides what happens to each event from now on. @default every one is sent once */
  setDelivery(rule: DeliveryRule): void;
  /** Events that were held back, oldest first. */
  held(): readonly EventObject[];
  /** Posts events now, in this order, again and again if they are repeated; answers what the app said. */
  deliver(eventIds: readonly string[]): Promise<readonly DeliveryAnswer[]>;
  /** What the app answered to every delivery so far. */
  answers(): readonly DeliveryAnswer[];
  /** Resolves when no event is on its way and none waits to be sent again. */
  settled(): Promise<void>;

  /** Lets the next API calls fail. */
  failNext(fault: StandInFault, filter?: FaultFilter): void;
  /** Lets every API call fail until it is told null. */
  failAll(fault: StandInFault | null): void;
  /** Every API request so far. */
  requests(): readonly StandInRequest[];
  /** What it has, for looking at. */
  contents(): {
    readonly customers: readonly CustomerObject[];
    readonly subscriptions: readonly SubscriptionObject[];
    readonly sessions: readonly SessionObject[];
    readonly invoices: readonly InvoiceObject[];
    readonly prices: readonly PriceObject[];
  };
  close(): Promise<void>;
}
