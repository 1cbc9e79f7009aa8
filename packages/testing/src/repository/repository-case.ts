import type { AuditEntry, BillingRepository, InboxEvent, Override, Subscription } from '@tollgate/core';
import { it } from 'vitest';
import type { BillingRepositoryHost } from '../billing-repository-host.ts';

export const ORG = 'acme';
export const PROVIDER = 'sandbox';
/** An instant with milliseconds, which exposes a store that keeps whole seconds. */
export const AT = Date.UTC(2026, 3, 9, 12, 30, 15, 123);

export function subscription(over: Partial<Subscription> = {}): Subscription {
  return {
    provider: PROVIDER,
    id: 'sub_1',
    org: ORG,
    customerId: 'cus_1',
    tier: 'pro',
    status: 'active',
    quantity: 1,
    interval: 'month',
    createdAt: AT,
    currentPeriodEndsAt: AT + 1,
    trialEndsAt: null,
    cancelsAt: null,
    scheduledTier: null,
    scheduledAt: null,
    pastDueAt: null,
    endedAt: null,
    ...over,
  };
}

export function event(over: Partial<InboxEvent> = {}): InboxEvent {
  return {
    provider: PROVIDER,
    livemode: false,
    id: 'evt_1',
    type: 'subscription.updated',
    customerId: 'cus_1',
    subscriptionId: 'sub_1',
    createdAt: AT,
    ...over,
  };
}

export function override(over: Partial<Override> = {}): Override {
  return {
    id: 'ovr_1',
    subjectType: 'org',
    subjectId: ORG,
    key: 'devices',
    period: null,
    limit: 12,
    expiresAt: null,
    reason: 'a favour',
    createdBy: 'olga',
    createdAt: AT,
    updatedAt: AT,
    ...over,
  };
}

export function audit(over: Partial<AuditEntry> = {}): AuditEntry {
  return {
    at: AT,
    org: ORG,
    actor: 'olga',
    action: 'subscription.changed',
    subject: 'sub_1',
    before: null,
    after: { tier: 'pro' },
    ...over,
  };
}

/** The repository of one test. */
export interface RepositoryCase<R extends BillingRepository> {
  readonly repository: R;
  readonly inspect: {
    readonly [K in keyof BillingRepositoryHost<R>['inspect']]: (
      ...args: Parameters<BillingRepositoryHost<R>['inspect'][K]> extends [R, ...infer A] ? A : never
    ) => ReturnType<BillingRepositoryHost<R>['inspect'][K]>;
  };
  peer(): Promise<BillingRepository>;
  now(): Promise<number>;
  /** Moves to just before the instant `ms` from now; `past` then moves to just after it. */
  upTo(ms: number): Promise<void>;
  past(): Promise<void>;
  /** Claims an event and returns the token. */
  claim(over?: Partial<InboxEvent>, through?: BillingRepository): Promise<string>;
}

/** Registers tests that each get a fresh repository of the host, torn down afterwards. */
export function repositoryTests<R extends BillingRepository>(host: BillingRepositoryHost<R>) {
  return (name: string, test: (a: RepositoryCase<R>) => Promise<void>) => {
    it(name, async () => {
      const repository = await host.create();
      try {
        await test(caseOf(host, repository));
      } finally {
        await host.teardown(repository);
      }
    });
  };
}

function caseOf<R extends BillingRepository>(
  host: BillingRepositoryHost<R>,
  repository: R,
): RepositoryCase<R> {
  const { inspect, clock, timing } = host;
  return {
    repository,
    inspect: {
      subscription: (key) => inspect.subscription(repository, key),
      event: (key) => inspect.event(repository, key),
      checkout: (org) => inspect.checkout(repository, org),
      override: (id) => inspect.override(repository, id),
      rows: () => inspect.rows(repository),
    },
    peer: async () => host.createPeer(repository),
    now: async () => clock.now(repository),
    upTo: async (ms) => clock.advance(repository, ms - timing.slackMs - 1),
    past: async () => clock.advance(repository, 2 * timing.slackMs + 1),
    async claim(over, through = repository) {
      const claim = await through.claimEvent({ event: event(over), leaseMs: timing.leaseMs });
      if (claim.outcome !== 'claimed') throw new Error(`the event is ${claim.outcome}`);
      return claim.token;
    },
  };
}
