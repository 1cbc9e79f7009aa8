import { randomBytes } from 'node:crypto';
import type { Clock } from '@tollgate/core';
import { createApi } from './api.ts';
import { type Books, createBooks } from './books.ts';
import { createDeliveries } from './deliveries.ts';
import { catchUp, nextDueAt } from './due.ts';
import { confirmSession } from './endpoints/checkout.ts';
import { deleteCustomer } from './endpoints/customers.ts';
import { createFaults, faultAnswer } from './faults.ts';
import type { EventObject, PriceObject, SubscriptionObject } from './objects.ts';
import { createPages, giveCard } from './pages.ts';
import { startStandInServer } from './server.ts';
import { signStripeWebhook } from './sign-webhook.ts';
import type {
  SignedStripeWebhook,
  StandInRequest,
  StripeStandIn,
  StripeStandInOptions,
} from './stand-in-interface.ts';
import { end, hasEnded, pause } from './subscriptions.ts';
import { thinEvent } from './thin-event.ts';

/** Starts a stand-in for Stripe. Close it after use. */
export async function stripeStandIn(options: StripeStandInOptions = {}): Promise<StripeStandIn> {
  const clock: Clock = options.clock ?? { now: Date.now };
  const secretKey = options.secretKey ?? `sk_test_${randomBytes(24).toString('hex')}`;
  const apiVersion = options.apiVersion ?? '2026-10-28.endive';
  const dunning = options.dunning ?? { retryDays: [3, 5, 7], lastly: 'canceled' };
  const announced = new Set<string>();
  const seen: StandInRequest[] = [];
  const faults = createFaults();
  let webhookSecrets: readonly string[] = [
    options.webhookSecret ?? `whsec_${randomBytes(24).toString('hex')}`,
  ];
  let offsetMs = 0;
  let origin = '';

  const now = () => clock.now() + offsetMs;
  const sign = (bytes: Uint8Array, at = clock.now()) => ({
    'content-type': 'application/json; charset=utf-8',
    'stripe-signature': signStripeWebhook(webhookSecrets, bytes, at),
  });
  const signedJson = (value: unknown): SignedStripeWebhook => {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    return { bytes, headers: sign(bytes) };
  };

  const deliveries = createDeliveries(async (event, signal) => {
    const { webhookUrl } = options;
    const url = typeof webhookUrl === 'function' ? webhookUrl() : (webhookUrl ?? null);
    if (url === null) return { eventId: event.id, status: 204, outcome: null };
    const { bytes, headers } = signedJson(event);
    const answer = await fetch(url, { method: 'POST', body: bytes, headers, redirect: 'manual', signal });
    await answer.arrayBuffer();
    return { eventId: event.id, status: answer.status, outcome: answer.headers.get('x-webhook-outcome') };
  }, options.retryDelaysMs ?? [100, 500, 2_000]);
  const books: Books = createBooks({
    nowMs: now,
    livemode: options.livemode ?? false,
    apiVersion,
    origin: () => origin,
    onEvent: (event) => deliveries.happened(event),
  });
  const api = createApi({ books, dunning, secretKey, apiVersion });
  const tick = () => catchUp(books, dunning, announced);
  const server = await startStandInServer({
    port: options.port ?? 0,
    before: tick,
    pages: createPages(books, dunning),
    api: (request) => {
      const { method, path, body, header } = request;
      seen.push({
        method,
        path,
        body,
        idempotencyKey: header('idempotency-key') ?? null,
        stripeVersion: header('stripe-version') ?? null,
        stripeAccount: header('stripe-account') ?? null,
      });
      const fault = faults.take(request);
      if (fault === null) return api.answer(request);
      const answer = faultAnswer(fault, () => api.answer(request));
      if (answer !== null && 'status' in fault && fault.isRemembered === true) api.remember(request, answer);
      return answer;
    },
  });
  origin = `http://127.0.0.1:${server.port}`;

  function eventOf(id: string): EventObject {
    const event = books.events.get(id);
    if (event === undefined) throw new Error(`There is no event ${id}.`);
    return event;
  }

  function subscriptionOf(id: string): SubscriptionObject {
    const subscription = books.subscriptions.get(id);
    if (subscription === undefined) throw new Error(`There is no subscription ${id}.`);
    return subscription;
  }

  return {
    origin,
    secretKey,
    get webhookSecrets() {
      return webhookSecrets;
    },
    set webhookSecrets(secrets) {
      webhookSecrets = secrets;
    },
    addPrice: ({ amount, interval = 'month', name = 'A plan', currency = 'eur' }) => {
      const price: PriceObject = {
        id: books.id('price'),
        object: 'price',
        created: books.now(),
        active: true,
        currency,
        unit_amount: amount,
        product: books.id('prod'),
        lookup_key: null,
        nickname: name,
        metadata: {},
        recurring: { interval, interval_count: 1, usage_type: 'licensed' },
        type: 'recurring',
        billing_scheme: 'per_unit',
        livemode: books.livemode,
      };
      books.products.set(price.product, {
        id: price.product,
        object: 'product',
        created: books.now(),
        name,
        description: null,
        active: true,
        metadata: {},
        livemode: books.livemode,
      });
      books.prices.set(price.id, price);
      return price.id;
    },
    pay(sessionId) {
      tick();
      const customer = books.sessions.get(sessionId)?.customer;
      if (customer !== undefined) books.cards.set(customer, 'works');
      return confirmSession(books, sessionId, dunning).subscription ?? '';
    },
    setCard: (customerId, card) => giveCard(books, customerId, card, dunning),
    deleteCustomer: (customerId) => void deleteCustomer(books, customerId),
    wipe() {
      const { customers, deletedCustomers, cards, sessions, portalSessions } = books;
      const { subscriptions, schedules, invoices, pending } = books;
      for (const people of [customers, deletedCustomers, cards, sessions, portalSessions]) people.clear();
      for (const debts of [subscriptions, schedules, invoices, pending]) debts.clear();
    },
    setStatus(subscriptionId, status) {
      const subscription = subscriptionOf(subscriptionId);
      if (hasEnded(subscription) || subscription.status === status) return;
      if (status === 'canceled' || status === 'incomplete_expired') {
        end(books, subscription, status);
        return;
      }
      if (status === 'paused') {
        pause(books, subscription, 'pause_requested');
        return;
      }
      subscription.status = status;
      const invoice =
        subscription.latest_invoice === null ? undefined : books.invoices.get(subscription.latest_invoice);
      if (status === 'past_due' && invoice !== undefined) books.emit('invoice.payment_failed', invoice);
      books.emit('customer.subscription.updated', subscription);
    },
    advance(ms) {
      offsetMs += ms;
      tick();
    },
    tick,
    nextDueAt() {
      const at = nextDueAt(books, dunning, announced);
      return at === null ? null : at * 1_000;
    },
    now,
    events: () => [...books.events.values()],
    signed: (eventId) => signedJson(eventOf(eventId)),
    signedThin(eventId) {
      const event = thinEvent(books, eventId);
      if (event === null) throw new Error(`There is no thin event of ${eventId}.`);
      return signedJson(event);
    },
    sign,
    setDelivery: deliveries.setRule,
    held: deliveries.held,
    deliver: (eventIds) => deliveries.deliver(eventIds.map(eventOf)),
    answers: deliveries.answers,
    settled: deliveries.settled,
    failNext: faults.failNext,
    failAll: faults.failAll,
    requests: () => seen,
    contents: () => ({
      customers: [...books.customers.values()],
      subscriptions: [...books.subscriptions.values()],
      sessions: [...books.sessions.values()],
      invoices: [...books.invoices.values()],
      prices: [...books.prices.values()],
    }),
    async close() {
      await deliveries.close();
      await server.close();
    },
  };
}
