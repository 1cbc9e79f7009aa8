import { fakeClock } from '@tollgate/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type {
  BillingRepository,
  CheckoutAttempt,
  InboxEvent,
  Subscription,
} from '../ports/billing-repository.ts';
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

function subscription(status: string): Subscription {
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
    endedAt: null,
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
  it(
    'does each event once, never lets an older state win, and loses none to a crash (W2, W3, W6)',
    TIMEOUT,
    () => {
      const delivery = fc.record({
        id: fc.constantFrom('e1', 'e2', 'e3'),
        diesAt: fc.option(fc.nat(2), { freq: 2 }),
      });
      const deliveries = fc.array(delivery, { minLength: 2, maxLength: 6 });
      return fc.assert(
        fc.asyncProperty(fc.scheduler(), deliveries, async (scheduler, deliveries) => {
          const clock = fakeClock();
          const repository = memoryBillingRepository({ clock });
          const history = ['trialing', 'active', 'past_due', 'unpaid'];
          let reached = 0;
          const provider = {
            fetch: async () => reached,
            change: async () => {
              reached = Math.min(reached + 1, history.length - 1);
            },
          };
          const applied: string[] = [];
          const saved: number[] = [];

          async function deliver(
            on: BillingRepository,
            from: typeof provider,
            id: string,
            diesAt: number | null,
          ) {
            const claim = await on.claimEvent({ event: event(id), leaseMs: LEASE_MS });
            if (claim.outcome !== 'claimed' || diesAt === 0) return claim.outcome;
            for (;;) {
              const stored = await on.findSubscription({ provider: 'sandbox', id: 'sub_1' });
              if (diesAt === 1) return 'died';
              const fetched = await from.fetch();
              if (diesAt === 2) return 'died';
              const effect = {
                subscription: subscription(history[fetched] ?? ''),
                expectedVersion: stored?.version ?? null,
                audit: null,
              };
              const done = {
                event: event(id),
                token: claim.token,
                result: 'applied',
                maxUnmatched: 10,
                effect,
              } as const;
              const outcome = await on.finishEvent(done);
              if (outcome === 'conflict') continue;
              if (outcome === 'done') {
                applied.push(id);
                saved.push(fetched);
              }
              return outcome;
            }
          }

          const [slowly, slowProvider] = [scheduled(scheduler, repository), scheduled(scheduler, provider)];
          await scheduler.waitFor(
            Promise.all([
              ...deliveries.map(({ id, diesAt }) => deliver(slowly, slowProvider, id, diesAt)),
              ...history.map(() => slowProvider.change()),
            ]),
          );
          // What was not answered is delivered again, and the provider's last change sent an event of its own.
          clock.advance(LEASE_MS);
          const ids = [...new Set(deliveries.map(({ id }) => id)), 'last'];
          for (const id of ids) expect(await deliver(repository, provider, id, null)).toBe('done');
          expect(applied.toSorted()).toEqual(ids.toSorted());
          expect(saved).toEqual(saved.toSorted());
          const stored = await repository.findSubscription({ provider: 'sandbox', id: 'sub_1' });
          expect(stored).toMatchObject({ status: 'unpaid', version: ids.length });
        }),
        RUNS,
      );
    },
  );
});

describe('checkouts under every interleaving', () => {
  it('leave one open page at most, the stored one (T27)', TIMEOUT, () => {
    const tiers = fc.array(fc.constantFrom('pro', 'business'), { minLength: 2, maxLength: 6 });
    return fc.assert(
      fc.asyncProperty(fc.scheduler(), tiers, async (scheduler, tiers) => {
        const repository = memoryBillingRepository({ clock: fakeClock() });
        const openPages = new Set<string>();
        let claimants = 0;
        const provider = scheduled(scheduler, {
          open: async (id: string) => void openPages.add(id),
          expire: async (id: string) => void openPages.delete(id),
        });
        const slowly = scheduled(scheduler, repository);

        async function checkout(tier: string, id: string) {
          const claim = await slowly.claimCheckout({
            org: 'acme',
            provider: 'sandbox',
            tier,
            id,
            leaseMs: LEASE_MS,
          });
          if (claim.outcome !== 'claimed') return;
          claimants += 1;
          expect(claimants).toBe(1);
          if (claim.replaces?.sessionId) await provider.expire(claim.replaces.sessionId);
          await provider.open(id);
          claimants -= 1;
          const attempt: CheckoutAttempt = { ...claim.attempt, state: 'open', sessionId: id, url: null };
          expect(await slowly.saveCheckout({ attempt, audit: null })).toBe(true);
        }

        await scheduler.waitFor(Promise.all(tiers.map((tier, index) => checkout(tier, `page-${index}`))));
        const stored = repository.contents().checkouts.get('acme')?.attempt;
        expect(stored?.state).toBe('open');
        expect([...openPages]).toEqual([stored?.sessionId]);
      }),
      RUNS,
    );
  });
});

describe('the counter store under every interleaving', () => {
  it(
    'keeps rows within the limit beside recounts and deletes, and counts exactly at rest (Q1, Q8)',
    TIMEOUT,
    () => {
      const create = fc.record({
        amount: fc.integer({ min: 1, max: 3 }),
        end: fc.constantFrom('commit', 'release', 'fail', 'fail-late'),
      });
      const plans = fc.record({
        limit: fc.integer({ min: 1, max: 6 }),
        creates: fc.array(create, { minLength: 2, maxLength: 6 }),
        recounts: fc.nat(3),
        deletes: fc.nat(2),
      });
      return fc.assert(
        fc.asyncProperty(fc.scheduler(), plans, async (scheduler, { limit, creates, recounts, deletes }) => {
          const store = memoryCounterStore({ clock: fakeClock() });
          const counter = { key: 'devices', window: 'lifetime' };
          let rows = 0;
          const table = {
            insert: async (count: number) => {
              rows += count;
              expect(rows).toBeLessThanOrEqual(limit);
            },
            count: async () => rows,
            remove: async () => {
              const removed = Math.min(rows, 1);
              rows -= removed;
              return removed;
            },
          };

          async function make(on: CounterStore, into: typeof table, id: string, amount: number, end: string) {
            const charge: Charge = { ...counter, amount, limit, onUnknown: 'uncertain', forgetAt: null };
            const reservation = { org: 'acme', id, charges: [charge], rememberMs: 0 };
            const { outcome } = await on.reserve({ ...reservation, leaseMs: LEASE_MS, maxHeld: 99 });
            if (outcome !== 'reserved') return;
            if (end === 'commit' || end === 'fail-late') await into.insert(amount);
            const as = end === 'commit' ? 'commit' : end === 'release' ? 'release' : 'unknown';
            expect(await on.settle({ ...reservation, as })).toMatchObject({ outcome: 'settled' });
          }
          async function recount(on: CounterStore, from: typeof table) {
            const tokens = await on.beginRecount({ org: 'acme', counters: [counter] });
            const count = await from.count();
            await on.finishRecount({
              org: 'acme',
              counts: tokens.map((token) => ({ ...token, count, forgetAt: null })),
            });
          }
          async function remove(on: CounterStore, from: typeof table) {
            const amount = await from.remove();
            if (amount === 0) return;
            await on.adjust({
              org: 'acme',
              adjustments: [{ ...counter, amount, change: 'deleted', forgetAt: null }],
            });
          }

          await recount(store, table);
          const [slowly, slowTable] = [scheduled(scheduler, store), scheduled(scheduler, table)];
          await scheduler.waitFor(
            Promise.all([
              ...creates.map(({ amount, end }, index) => make(slowly, slowTable, `r${index}`, amount, end)),
              ...Array.from({ length: recounts }, () => recount(slowly, slowTable)),
              ...Array.from({ length: deletes }, () => remove(slowly, slowTable)),
            ]),
          );
          await recount(store, table);
          expect(await store.read({ org: 'acme', counters: [counter] })).toMatchObject([
            { committed: rows, held: 0, uncertain: 0 },
          ]);
        }),
        RUNS,
      );
    },
  );
});
