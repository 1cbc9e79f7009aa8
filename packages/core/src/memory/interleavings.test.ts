import { fakeClock } from '@tollgate/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BillingRepository, CheckoutAttempt, InboxEvent, Subscription } from '../ports/billing-repository.ts';
import type { Charge, CounterStore } from '../ports/counter-store.ts';
import { memoryBillingRepository } from './memory-billing-repository.ts';
import { memoryCounterStore } from './memory-counter-store.ts';

const RUNS = { numRuns: 5_000 };
const TIMEOUT = { timeout: 120_000 };
const LEASE_MS = 1_000;

/** The same object, each of its calls made when the scheduler says: so the scheduler chooses among all interleavings. */
function scheduled<T extends object>(scheduler: fc.Scheduler, target: T): T {
  return new Proxy(target, {
    get: (object, name) => {
      const method = Reflect.get(object, name) as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        await scheduler.schedule(Promise.resolve(), String(name));
        return method(...args);
      };
    },
  });
}

function subscription(status: string, endedAt: number | null): Subscription {
  return {
    provider: 'sandbox',
    id: 'sub_1',
    org: 'acme',
    customerId: 'cus_1',
    tier: 'pro',
    status,
    quantity: 1,
    interval: 'month',
    createdAt: 0,
    currentPeriodEndsAt: null,
    trialEndsAt: null,
    cancelsAt: null,
    scheduledTier: null,
    scheduledAt: null,
    pastDueAt: null,
    endedAt,
  };
}

const event = (id: string): InboxEvent => ({
  provider: 'sandbox',
  livemode: false,
  id,
  type: 'subscription.updated',
  customerId: 'cus_1',
  subscriptionId: 'sub_1',
  createdAt: 0,
});

describe('the inbox under every interleaving', () => {
  it('has each event once and ends in the state of the provider, crashes and redeliveries included (W2, W3, W6)', TIMEOUT, () => {
    const delivery = fc.record({ id: fc.constantFrom('e1', 'e2', 'e3'), diesAfter: fc.option(fc.nat(3), { freq: 2 }) });
    const deliveries = fc.array(delivery, { minLength: 2, maxLength: 6 });
    return fc.assert(
      fc.asyncProperty(fc.scheduler(), deliveries, async (scheduler, deliveries) => {
        const clock = fakeClock();
        const repository = memoryBillingRepository({ clock });
        const history = ['trialing', 'active', 'past_due', 'canceled'];
        let atProvider = 0;
        const applied: string[] = [];

        async function deliver(through: BillingRepository, id: string, diesAfter: number | null) {
          const isDead = (step: number) => diesAfter !== null && step > diesAfter;
          const claim = await through.claimEvent({ event: event(id), leaseMs: LEASE_MS });
          if (claim.outcome !== 'claimed' || isDead(0)) return claim.outcome;
          for (let round = 0; round < 20; round += 1) {
            const stored = await through.findSubscription({ provider: 'sandbox', id: 'sub_1' });
            if (isDead(1)) return 'dead';
            const fetched = await provider.fetch();
            if (isDead(2)) return 'dead';
            const finished = await through.finishEvent({
              event: event(id),
              token: claim.token,
              result: 'applied',
              maxUnmatched: 10,
              effect: { subscription: subscription(fetched, null), expectedVersion: stored?.version ?? null, audit: null },
            });
            if (finished === 'done') applied.push(id);
            if (finished !== 'conflict') return finished;
          }
          return 'contended';
        }

        const provider = scheduled(scheduler, {
          fetch: async () => history[atProvider] ?? '',
          move: async () => {
            atProvider = Math.min(atProvider + 1, history.length - 1);
          },
        });
        const slow = scheduled(scheduler, repository);
        const all = [
          ...deliveries.map(({ id, diesAfter }) => deliver(slow, id, diesAfter)),
          ...history.map(() => provider.move()),
        ];
        await scheduler.waitFor(Promise.all(all));

        // Every event is delivered until it is done, and the last change of the provider sent one too.
        clock.advance(LEASE_MS);
        for (const id of [...deliveries.map(({ id }) => id), 'last']) {
          expect(['done', 'claimed']).toContain(await deliver(repository as BillingRepository, id, null));
        }
      }),
      RUNS,
    );
  });
});
