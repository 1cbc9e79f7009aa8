import { randomBytes } from 'node:crypto';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { ProviderSubscription, Terms } from '../ports/payment-provider.ts';
import { liveSubscriptions } from '../subscription/live-subscriptions.ts';
import { hasEnded } from '../subscription/next-subscription.ts';
import type {
  SandboxEvent,
  SandboxEventType,
  SandboxPortal,
  SandboxSession,
  SandboxState,
} from './sandbox-state.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A billing period of the sandbox is thirty days. */
const PERIOD_MS = 30 * DAY_MS;
const MAX_EVENTS = 10_000;

/** The sandbox's books. Every change happens here, in one synchronous step, and writes the events that announce it. */
export interface SandboxLedger {
  createCustomer(org: string, key: string): string;
  /** False for a deleted customer. An unknown one is accepted, since the app's state may be older than the sandbox's. */
  hasCustomer(customerId: string): boolean;
  /** Deletes a customer, and ends its pages and subscriptions. */
  deleteCustomer(customerId: string): void;
  openSession(request: {
    org: string;
    customerId: string;
    tier: string;
    terms: Terms;
    key: string;
  }): SandboxSession;
  session(id: string): SandboxSession | null;
  /** Pays an open page; a paid one stays paid. @throws TollgateError `provider_error` for an expired or unknown one */
  confirm(sessionId: string): SandboxSession;
  expire(sessionId: string): void;
  change(request: {
    subscriptionId: string;
    tier: string;
    terms: Terms;
    key: string | null;
  }): ProviderSubscription;
  cancel(request: { subscriptionId: string; atPeriodEnd: boolean; key: string | null }): ProviderSubscription;
  /** Sets a status, as the provider's own clock or a card would; an ended subscription keeps its status. */
  setStatus(subscriptionId: string, status: string): ProviderSubscription;
  /** Ends the period: pays for the next one, or ends a subscription whose end was scheduled. */
  renew(subscriptionId: string): ProviderSubscription;
  subscription(id: string): ProviderSubscription | null;
  subscriptionsOf(customerId: string): readonly ProviderSubscription[];
  openPortal(customerId: string, returnUrl: string): SandboxPortal;
  portal(id: string): SandboxPortal | null;
}

/** @param onEvents - called after every change, with the events that it wrote, if any */
export function createSandboxLedger(
  state: SandboxState,
  now: () => number,
  onEvents: (events: readonly SandboxEvent[]) => void,
): SandboxLedger {
  let written: SandboxEvent[] = [];

  function done<T>(result: T): T {
    const events = written;
    written = [];
    onEvents(events);
    return result;
  }

  function write(
    type: SandboxEventType,
    customerId: string,
    subscription: ProviderSubscription | null,
    sessionId: string | null,
  ) {
    const event: SandboxEvent = {
      id: newId('evt'),
      type,
      createdAt: now(),
      customerId,
      subscriptionId: subscription?.id ?? null,
      sessionId,
      status: subscription?.status ?? null,
      tier: subscription?.tier ?? null,
    };
    state.events.set(event.id, event);
    state.undelivered.add(event.id);
    for (const id of state.events.keys()) {
      if (state.events.size <= MAX_EVENTS) break;
      state.events.delete(id);
      state.undelivered.delete(id);
    }
    written.push(event);
  }

  /** The id created earlier with this idempotency key, or a new one. */
  function once(key: string | null, request: readonly unknown[], make: () => string): string {
    if (key === null) return make();
    for (const [old, { at }] of state.keys) {
      if (now() - at <= DAY_MS) break;
      state.keys.delete(old);
    }
    const text = JSON.stringify(request);
    const before = state.keys.get(key);
    if (before !== undefined) {
      if (before.request !== text) throw refusal('The idempotency key was used with other parameters.');
      return before.id;
    }
    const id = make();
    state.keys.set(key, { request: text, id, at: now() });
    return id;
  }

  function put(
    subscription: ProviderSubscription,
    ...types: readonly SandboxEventType[]
  ): ProviderSubscription {
    state.subscriptions.set(subscription.id, subscription);
    for (const type of types) write(type, subscription.customerId, subscription, null);
    return subscription;
  }

  function knownSubscription(id: string): ProviderSubscription {
    const subscription = state.subscriptions.get(id);
    if (subscription === undefined) throw refusal('There is no such subscription.');
    return subscription;
  }

  function session(id: string): SandboxSession | null {
    const found = state.sessions.get(id);
    if (found === undefined) return null;
    if (found.state !== 'open' || now() < found.expiresAt) return found;
    return done(closePage(found));
  }

  function closePage(page: SandboxSession): SandboxSession {
    const expired: SandboxSession = { ...page, state: 'expired' };
    state.sessions.set(page.id, expired);
    write('checkout.expired', page.customerId, null, page.id);
    return expired;
  }

  function end(subscription: ProviderSubscription): ProviderSubscription {
    const endedAt = now();
    return put({ ...subscription, status: 'canceled', cancelsAt: null, endedAt }, 'subscription.canceled');
  }

  function checkCustomer(id: string): void {
    if (state.customers.get(id)?.isGone === true) throw refusal('The customer is deleted.');
  }

  return {
    createCustomer(org, key) {
      const id = once(key, ['customer', org], () => {
        const made = { id: newId('cus'), org };
        state.customers.set(made.id, made);
        return made.id;
      });
      return done(id);
    },
    hasCustomer: (customerId) => state.customers.get(customerId)?.isGone !== true,
    deleteCustomer(customerId) {
      const customer = state.customers.get(customerId);
      if (customer === undefined) throw refusal('There is no such customer.');
      state.customers.set(customerId, { ...customer, isGone: true });
      for (const page of state.sessions.values()) {
        if (page.customerId === customerId && page.state === 'open') closePage(page);
      }
      for (const subscription of state.subscriptions.values()) {
        if (subscription.customerId === customerId && !hasEnded(subscription)) end(subscription);
      }
      done(undefined);
    },
    openSession({ org, customerId, tier, terms, key }) {
      checkCustomer(customerId);
      // A customer created before this state was lost is accepted: the app still knows it.
      if (!state.customers.has(customerId)) state.customers.set(customerId, { id: customerId, org });
      const id = once(key, ['checkout', org, customerId, tier, terms], () => {
        const made: SandboxSession = {
          id: newId('cs'),
          org,
          customerId,
          tier,
          interval: terms.interval ?? 'month',
          quantity: terms.quantity ?? 1,
          state: 'open',
          subscriptionId: null,
          expiresAt: now() + DAY_MS,
        };
        state.sessions.set(made.id, made);
        return made.id;
      });
      const opened = session(id);
      if (opened === null) throw refusal('There is no such page.');
      return done(opened);
    },
    session,
    confirm(sessionId) {
      const open = session(sessionId);
      if (open === null || open.state === 'expired') throw refusal('There is no such open page.');
      if (open.state === 'complete') return open;
      const subscription: ProviderSubscription = {
        id: newId('sub'),
        customerId: open.customerId,
        tier: open.tier,
        status: 'active',
        quantity: open.quantity ?? 1,
        interval: open.interval ?? 'month',
        createdAt: now(),
        currentPeriodEndsAt: now() + PERIOD_MS,
        trialEndsAt: null,
        cancelsAt: null,
        scheduledTier: null,
        scheduledAt: null,
        endedAt: null,
      };
      const complete: SandboxSession = { ...open, state: 'complete', subscriptionId: subscription.id };
      state.sessions.set(sessionId, complete);
      write('checkout.completed', open.customerId, subscription, sessionId);
      put(subscription, 'subscription.created', 'invoice.paid');
      return done(complete);
    },
    expire(sessionId) {
      const open = session(sessionId);
      if (open?.state === 'open') done(closePage(open));
    },
    change({ subscriptionId, tier, terms, key }) {
      once(key, ['change', subscriptionId, tier, terms], () => {
        const current = knownSubscription(subscriptionId);
        if (hasEnded(current)) throw refusal('The subscription has ended.');
        put(
          { ...current, ...terms, tier, cancelsAt: null, scheduledTier: null, scheduledAt: null },
          'subscription.updated',
        );
        return subscriptionId;
      });
      return done(knownSubscription(subscriptionId));
    },
    cancel({ subscriptionId, atPeriodEnd, key }) {
      once(key, ['cancel', subscriptionId], () => {
        const current = knownSubscription(subscriptionId);
        if (hasEnded(current)) return subscriptionId;
        if (atPeriodEnd && current.status !== 'incomplete') {
          put({ ...current, cancelsAt: current.currentPeriodEndsAt }, 'subscription.updated');
        } else {
          end(current);
        }
        return subscriptionId;
      });
      return done(knownSubscription(subscriptionId));
    },
    setStatus(subscriptionId, status) {
      const current = knownSubscription(subscriptionId);
      if (hasEnded(current) || current.status === status) return current;
      if (status === 'canceled') return done(end(current));
      const endedAt = hasEnded({ status, endedAt: null }) ? now() : null;
      const types: SandboxEventType[] = ['subscription.updated'];
      if (status === 'past_due') types.unshift('invoice.failed');
      if (status === 'active') types.unshift('invoice.paid');
      return done(put({ ...current, status, endedAt }, ...types));
    },
    renew(subscriptionId) {
      const current = knownSubscription(subscriptionId);
      if (hasEnded(current)) return current;
      if (current.cancelsAt !== null) return done(end(current));
      const currentPeriodEndsAt = (current.currentPeriodEndsAt ?? now()) + PERIOD_MS;
      return done(
        put({ ...current, status: 'active', currentPeriodEndsAt }, 'invoice.paid', 'subscription.updated'),
      );
    },
    subscription: (id) => state.subscriptions.get(id) ?? null,
    subscriptionsOf(customerId) {
      const all = [...state.subscriptions.values()].filter(
        (subscription) => subscription.customerId === customerId,
      );
      const live = liveSubscriptions(all);
      return [...live, ...all.filter((subscription) => !live.includes(subscription))];
    },
    openPortal(customerId, returnUrl) {
      checkCustomer(customerId);
      for (const [id, { expiresAt }] of state.portals) if (expiresAt <= now()) state.portals.delete(id);
      const made: SandboxPortal = { id: newId('ps'), customerId, returnUrl, expiresAt: now() + HOUR_MS };
      state.portals.set(made.id, made);
      return done(made);
    },
    portal(id) {
      const found = state.portals.get(id);
      return found !== undefined && now() < found.expiresAt ? found : null;
    },
  };
}

function newId(prefix: string): string {
  return `${prefix}_sandbox_${randomBytes(15).toString('base64url')}`;
}

function refusal(reason: string): TollgateError {
  return new TollgateError('provider_error', { cause: new Error(reason) });
}
