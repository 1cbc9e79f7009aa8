import { randomBytes } from 'node:crypto';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Clock } from '../ports/clock.ts';
import type {
  EventHistory,
  PaymentProvider,
  PortalProvider,
  ProviderSubscription,
  Terms,
} from '../ports/payment-provider.ts';
import { within } from '../within.ts';
import { createSandboxDeliveries } from './sandbox-deliveries.ts';
import { parseSandboxEvent, sandboxEventBytes } from './sandbox-event.ts';
import { createSandboxLedger, type SandboxLedger } from './sandbox-ledger.ts';
import { checkSandboxOptions, type SandboxOptions } from './sandbox-options.ts';
import { createSandboxOutage, type SandboxOutage } from './sandbox-outage.ts';
import { type SandboxServer, startSandboxServer } from './sandbox-server.ts';
import { SANDBOX_SIGNATURE_HEADER, signSandboxPayload, verifySandboxSignature } from './sandbox-signature.ts';
import { createSandboxSite } from './sandbox-site.ts';
import {
  emptySandboxState,
  type SandboxCustomer,
  type SandboxEvent,
  type SandboxSession,
} from './sandbox-state.ts';
import { openSharedState, type SharedState } from './shared-state.ts';

/** How long a page waits for the app to accept its events before it sends the customer back, ms. */
const MAX_REDIRECT_DELAY_MS = 3_000;

/** The contents of a sandbox. A page that has expired may still be listed as open. */
export interface SandboxContents {
  readonly customers: readonly SandboxCustomer[];
  readonly sessions: readonly SandboxSession[];
  readonly subscriptions: readonly ProviderSubscription[];
}

/** The sandbox, with the controls that tests and demos need. */
export interface SandboxProvider extends PaymentProvider {
  readonly portal: PortalProvider;
  readonly history: EventHistory;
  /** Starts listening, if it does not yet. @throws TollgateError `invalid_configuration` if the port is taken. */
  start(): Promise<void>;
  /** Where its pages are: `http://127.0.0.1:<port>`; null before it is started. */
  readonly origin: string | null;
  /** Pays on a page, like the customer's click. */
  confirm(sessionId: string): SandboxSession;
  /** Closes a page unpaid, like the customer's click on cancel. */
  decline(sessionId: string): void;
  /** Sets a subscription's status, as time or a failing card would. */
  setStatus(subscriptionId: string, status: string): ProviderSubscription;
  /** Deletes a customer for good, as in the provider's dashboard; its subscriptions end. */
  deleteCustomer(customerId: string): void;
  /** Ends a subscription's period: pays for the next one, or ends the subscription if that was scheduled. */
  renew(subscriptionId: string): ProviderSubscription;
  /** The last 10,000 events, oldest first. */
  events(): readonly SandboxEvent[];
  /** A copy of its contents, read past the port. */
  contents(): SandboxContents;
  /** Resends an event; resolves after one attempt. */
  resend(eventId: string): Promise<void>;
  /** An event as it would be posted now: its bytes and headers. */
  signed(eventId: string): { readonly bytes: Uint8Array; readonly headers: Readonly<Record<string, string>> };
  /** Signs any bytes as of an instant, to test what is refused. @param at - epoch ms, now by default */
  sign(bytes: Uint8Array, at?: number): Readonly<Record<string, string>>;
  /** Resolves when no event is being sent or waits to be resent. */
  settled(): Promise<void>;
  /** Makes every later call to the provider fail in this way; null ends it. */
  setOutage(outage: SandboxOutage | null): void;
}

/**
 * A payment provider that needs no account and no network. It keeps its own subscriptions, serves its own pages on loopback, and posts
 * its own signed webhooks to the app.
 *
 * @throws TollgateError `invalid_configuration` naming each option at fault.
 */
export function sandboxProvider(options: SandboxOptions): SandboxProvider {
  checkSandboxOptions(options);
  const file = options.file ?? null;
  const clock: Clock = options.clock ?? { now: Date.now };
  const { state, alone, save } = openSharedState(file, () =>
    emptySandboxState(options.secret ?? randomBytes(32).toString('base64url')),
  );
  const secret = () => options.secret ?? state.secret;
  const outage = createSandboxOutage();
  let server: SandboxServer | null = null;
  let starting: Promise<SandboxServer> | null = null;
  let closed = false;

  const sign = (bytes: Uint8Array, at = clock.now()) => ({
    'content-type': 'application/json',
    [SANDBOX_SIGNATURE_HEADER]: signSandboxPayload(secret(), bytes, at),
  });
  const deliveries = createSandboxDeliveries(
    async (event, signal) => {
      const url = webhookUrl();
      if (url === null) return true;
      const body = sandboxEventBytes(event);
      const answer = await fetch(url, {
        method: 'POST',
        body,
        headers: sign(body),
        redirect: 'manual',
        signal,
      });
      await answer.arrayBuffer();
      return answer.ok;
    },
    (event) => {
      alone(() => {
        if (state.undelivered.delete(event.id)) save();
      });
    },
    options.retryDelaysMs ?? [250, 1_000, 5_000, 30_000, 120_000, 600_000],
  );
  /** The first attempts to send the events just written, so that a page can wait for them. */
  let firstAttempts: Promise<unknown> = Promise.resolve();
  const ledger = exclusive(
    createSandboxLedger(
      state,
      () => clock.now(),
      (events) => {
        save();
        if (events.length > 0) firstAttempts = Promise.all([firstAttempts, sendInOrder(events)]);
      },
    ),
    alone,
  );

  async function sendInOrder(events: readonly SandboxEvent[]): Promise<void> {
    for (const event of events) await deliveries.send(event);
  }

  function webhookUrl(): string | null {
    return typeof options.webhookUrl === 'function' ? options.webhookUrl() : options.webhookUrl;
  }

  function allEvents(): readonly SandboxEvent[] {
    return alone(() => [...state.events.values()]);
  }

  function eventOf(id: string): SandboxEvent {
    const event = alone(() => state.events.get(id));
    if (event === undefined) throw new TollgateError('not_found');
    return event;
  }

  const site = createSandboxSite({
    ledger,
    returnUrl: options.returnUrl ?? null,
    tiers: options.tiers ?? null,
    cancelsAtPeriodEnd: options.cancel === 'at_period_end',
    delivered: () => within(MAX_REDIRECT_DELAY_MS, firstAttempts).catch(() => undefined),
  });

  async function listening(): Promise<SandboxServer> {
    if (closed) throw new TollgateError('provider_error', { cause: new Error('The sandbox is closed.') });
    starting ??= listen().catch((error) => {
      starting = null;
      throw error;
    });
    return await starting;
  }

  async function listen(): Promise<SandboxServer> {
    const { host = '127.0.0.1', port } = options;
    const redirectOrigins = options.returnUrl === undefined ? [] : [new URL(options.returnUrl).origin];
    const begin = (at: number) => startSandboxServer({ host, port: at, handle: site, redirectOrigins });
    // A restarted sandbox takes its old port if it can, so that the URLs of earlier pages still work.
    const started =
      port === undefined && state.port !== 0
        ? await begin(state.port).catch(() => begin(0))
        : await begin(port ?? 0);
    server = started;
    alone(() => {
      state.port = started.port;
      save();
    });
    for (const id of [...state.undelivered]) void deliveries.send(eventOf(id));
    return started;
  }

  function pageOf(server: SandboxServer, session: SandboxSession) {
    const { id, state: now, expiresAt } = session;
    return { id, url: now === 'open' ? `${server.origin}/checkout/${id}` : null, expiresAt };
  }

  return {
    name: options.name ?? 'sandbox',
    get pageOrigins() {
      return server === null ? [] : [server.origin];
    },
    get origin() {
      return server?.origin ?? null;
    },
    start: async () => {
      await listening();
    },
    sells: (tier) => options.tiers?.includes(tier) ?? true,

    createCustomer: ({ org, idempotencyKey }) =>
      outage.pass(async () => ({ customerId: ledger.createCustomer(org, idempotencyKey) })),
    hasCustomer: ({ customerId }) => outage.pass(async () => ledger.hasCustomer(customerId)),
    openCheckout: ({ org, customerId, tier, interval, quantity, idempotencyKey }) =>
      outage.pass(async () =>
        pageOf(
          await listening(),
          ledger.openSession({
            org,
            customerId,
            tier,
            terms: termsOf(interval, quantity),
            key: idempotencyKey,
          }),
        ),
      ),
    fetchCheckout: ({ sessionId }) =>
      outage.pass(async () => {
        const session = ledger.session(sessionId);
        if (session === null) return null;
        const { customerId, state: now, subscriptionId, interval = 'month', quantity = 1 } = session;
        const page = pageOf(await listening(), session);
        return { ...page, customerId, state: now, subscriptionId, interval, quantity };
      }),
    expireCheckout: ({ sessionId }) => outage.pass(async () => ledger.expire(sessionId)),
    changeSubscription: ({ subscriptionId, tier, interval, quantity, idempotencyKey }) =>
      outage.pass(async () =>
        ledger.change({ subscriptionId, tier, terms: termsOf(interval, quantity), key: idempotencyKey }),
      ),
    cancelSubscription: ({ subscriptionId, idempotencyKey }) =>
      outage.pass(async () => {
        const atPeriodEnd = options.cancel === 'at_period_end';
        return ledger.cancel({ subscriptionId, atPeriodEnd, key: idempotencyKey });
      }),
    fetchSubscription: ({ subscriptionId }) => outage.pass(async () => ledger.subscription(subscriptionId)),
    listSubscriptions: ({ customerId }) => outage.pass(async () => ledger.subscriptionsOf(customerId)),
    async readWebhook({ bytes, header, now }) {
      verifySandboxSignature({ secret: secret(), bytes, header: header(SANDBOX_SIGNATURE_HEADER), now });
      const event = parseSandboxEvent(bytes);
      return event.livemode ? [] : [event];
    },
    portal: {
      openPortal: ({ customerId, returnUrl }) =>
        outage.pass(async () => {
          const { origin } = await listening();
          return { url: `${origin}/portal/${ledger.openPortal(customerId, returnUrl).id}` };
        }),
    },

    history: {
      listEvents: ({ since }) =>
        outage.pass(async () =>
          allEvents()
            .filter(({ createdAt }) => createdAt >= since)
            .map((event) => parseSandboxEvent(sandboxEventBytes(event))),
        ),
    },

    confirm: (sessionId) => ledger.confirm(sessionId),
    decline: (sessionId) => ledger.expire(sessionId),
    setStatus: (subscriptionId, status) => ledger.setStatus(subscriptionId, status),
    deleteCustomer: (customerId) => ledger.deleteCustomer(customerId),
    renew: (subscriptionId) => ledger.renew(subscriptionId),
    events: allEvents,
    contents: () =>
      alone(() =>
        structuredClone({
          customers: [...state.customers.values()],
          sessions: [...state.sessions.values()],
          subscriptions: [...state.subscriptions.values()],
        }),
      ),
    resend: async (eventId) => await deliveries.send(eventOf(eventId)),
    signed(eventId) {
      const bytes = sandboxEventBytes(eventOf(eventId));
      return { bytes, headers: sign(bytes) };
    },
    sign,
    async settled() {
      await firstAttempts;
      await deliveries.settled();
    },
    setOutage: outage.set,
    async close() {
      closed = true;
      await starting?.catch(() => undefined);
      await server?.close();
      await deliveries.close();
    },
  };
}

function termsOf(interval: Terms['interval'], quantity: Terms['quantity']): Terms {
  return { ...(interval === undefined ? {} : { interval }), ...(quantity === undefined ? {} : { quantity }) };
}

/** The same ledger, with every call run exclusively on the state. */
function exclusive(ledger: SandboxLedger, alone: SharedState['alone']): SandboxLedger {
  const methods = Object.entries(ledger) as [string, (...given: unknown[]) => unknown][];
  const wrapped = methods.map(([name, method]) => [
    name,
    (...given: unknown[]) => alone(() => method(...given)),
  ]);
  return Object.fromEntries(wrapped) as SandboxLedger;
}
