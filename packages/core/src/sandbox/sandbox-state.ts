import type { BillingInterval, ProviderSubscription } from '../ports/payment-provider.ts';

/** A checkout page of the sandbox. */
export interface SandboxSession {
  readonly id: string;
  readonly org: string;
  readonly customerId: string;
  readonly tier: string;
  /** Absent in files of an older version, which means monthly, for one seat. */
  readonly interval?: BillingInterval;
  readonly quantity?: number;
  readonly state: 'open' | 'complete' | 'expired';
  readonly subscriptionId: string | null;
  readonly expiresAt: number;
}

/** The types of the sandbox's events. */
export type SandboxEventType =
  | 'checkout.completed'
  | 'checkout.expired'
  | 'subscription.created'
  | 'subscription.updated'
  | 'subscription.canceled'
  | 'invoice.paid'
  | 'invoice.failed';

/** One event of the sandbox, with the customer's and the subscription's state at that time. */
export interface SandboxEvent {
  readonly id: string;
  readonly type: SandboxEventType;
  /** Epoch ms. */
  readonly createdAt: number;
  readonly customerId: string;
  readonly subscriptionId: string | null;
  readonly sessionId: string | null;
  readonly status: string | null;
  readonly tier: string | null;
}

/** A portal page, for one customer, for an hour. */
export interface SandboxPortal {
  readonly id: string;
  readonly customerId: string;
  readonly returnUrl: string;
  readonly expiresAt: number;
}

/** A customer of the sandbox. */
export interface SandboxCustomer {
  readonly id: string;
  readonly org: string;
  /** Deleted for good: it can no longer buy anything. */
  readonly isGone?: boolean;
}

/** Everything the sandbox knows, by id. */
export interface SandboxState {
  secret: string;
  /** The port it last listened on; 0 if it never did. */
  port: number;
  readonly customers: Map<string, SandboxCustomer>;
  readonly sessions: Map<string, SandboxSession>;
  readonly subscriptions: Map<string, ProviderSubscription>;
  readonly portals: Map<string, SandboxPortal>;
  /** Oldest first; only the last ones are kept. */
  readonly events: Map<string, SandboxEvent>;
  /** Ids of events that the app has not accepted yet. */
  readonly undelivered: Set<string>;
  /** What was created with an idempotency key, by that key. */
  readonly keys: Map<string, { readonly request: string; readonly id: string; readonly at: number }>;
}

/** The state of a new sandbox. */
export function emptySandboxState(secret: string): SandboxState {
  return {
    secret,
    port: 0,
    customers: new Map(),
    sessions: new Map(),
    subscriptions: new Map(),
    portals: new Map(),
    events: new Map(),
    undelivered: new Set(),
    keys: new Map(),
  };
}
