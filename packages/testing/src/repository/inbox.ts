import type { BillingRepository, EventOutcome, Subscription } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { BillingRepositoryHost } from '../billing-repository-host.ts';
import { AT, audit, event, ORG, repositoryTests, subscription } from './repository-case.ts';

/** Every event takes effect once, whoever delivers it and however often (W2, W6). */
export function inbox<R extends BillingRepository>(host: BillingRepositoryHost<R>): void {
  const test = repositoryTests(host);
  const { leaseMs } = host.timing;
  const finishing = (
    token: string,
    result: EventOutcome,
    over: { id?: string; maxUnmatched?: number } = {},
  ) => ({
    event: event({ id: over.id ?? 'evt_1' }),
    token,
    result,
    maxUnmatched: over.maxUnmatched ?? 100,
    effect: null,
  });
  const effect = (over: Partial<Subscription>, expectedVersion: number | null) => ({
    subscription: subscription(over),
    expectedVersion,
    audit: audit(),
  });

  describe('the inbox', () => {
    test('gives an event to one caller at a time and stores it before it is worked on (W6)', async (a) => {
      const token = await a.claim();
      expect(await a.inspect.event(event())).toMatchObject({ result: null });
      expect(await (await a.peer()).claimEvent({ event: event(), leaseMs })).toEqual({ outcome: 'busy' });
      expect(await a.repository.finishEvent(finishing(token, 'ignored'))).toBe('done');
      expect(await a.repository.claimEvent({ event: event(), leaseMs })).toEqual({
        outcome: 'done',
        result: 'ignored',
      });
    });

    test('tells apart events of test and live mode and of other providers', async (a) => {
      const others = [{ livemode: true }, { provider: 'other' }];
      const token = await a.claim();
      for (const over of others) await a.claim(over);
      expect(await a.inspect.rows()).toBe(3);
      await a.repository.finishEvent(finishing(token, 'unmatched'));
      expect(await a.repository.listUnmatched({ provider: 'other', customerId: 'cus_1' })).toEqual([]);
      await a.repository.finishEvent(finishing(await a.claim(), 'applied'));
      for (const over of others) {
        expect(await a.inspect.event(event(over))).toMatchObject({ result: null });
        const { outcome } = await a.repository.claimEvent({ event: event(over), leaseMs });
        expect(outcome).not.toBe('done');
      }
    });

    test('ends an event once, and one that is unmatched can be claimed at once (W2)', async (a) => {
      const token = await a.claim();
      expect(await a.repository.finishEvent(finishing(token, 'unmatched'))).toBe('done');
      expect(await a.repository.finishEvent(finishing(token, 'applied'))).toBe('lost');
      const next = await a.claim();
      expect(await a.repository.finishEvent(finishing(next, 'applied'))).toBe('done');
      expect(
        await a.repository.finishEvent({ ...finishing(next, 'applied'), effect: effect({}, null) }),
      ).toBe('lost');
      expect(await a.inspect.subscription(subscription())).toBeNull();
    });

    test('writes the effect and the end of the event together (W6)', async (a) => {
      const token = await a.claim();
      expect(
        await a.repository.finishEvent({ ...finishing(token, 'applied'), effect: effect({}, null) }),
      ).toBe('done');
      expect(await a.inspect.subscription(subscription())).toMatchObject({ status: 'active', version: 1 });
      expect(await a.inspect.event(event())).toMatchObject({ result: 'applied' });
      expect(await a.repository.listAudit({ org: ORG, before: null, limit: 9 })).toHaveLength(1);
    });

    test('writes nothing when the subscription moved, and the claim still holds', async (a) => {
      await a.repository.saveSubscription({
        subscription: subscription(),
        expectedVersion: null,
        audit: null,
      });
      const token = await a.claim();
      const request = finishing(token, 'applied');
      expect(await a.repository.finishEvent({ ...request, effect: effect({ status: 'unpaid' }, null) })).toBe(
        'conflict',
      );
      expect(await a.inspect.event(event())).toMatchObject({ result: null });
      expect(await a.inspect.subscription(subscription())).toMatchObject({ status: 'active', version: 1 });
      expect(await a.repository.listAudit({ org: ORG, before: null, limit: 9 })).toEqual([]);
      expect(await a.repository.finishEvent({ ...request, effect: effect({ status: 'unpaid' }, 1) })).toBe(
        'done',
      );
    });

    test('refuses a token that is not the claim, and writes nothing', async (a) => {
      await a.claim();
      expect(
        await a.repository.finishEvent({ ...finishing('forged', 'applied'), effect: effect({}, null) }),
      ).toBe('lost');
      expect(await a.inspect.subscription(subscription())).toBeNull();
      expect(await a.inspect.event(event())).toMatchObject({ result: null });
    });

    test('lets a claim be given back at once, but only by its holder', async (a) => {
      const token = await a.claim();
      await a.repository.releaseEvent({ event: event(), token: 'forged' });
      expect(await a.repository.claimEvent({ event: event(), leaseMs })).toEqual({ outcome: 'busy' });
      await a.repository.releaseEvent({ event: event(), token });
      const next = await a.claim();
      expect(next).not.toBe(token);
      expect(await a.repository.finishEvent(finishing(token, 'applied'))).toBe('lost');
      await a.repository.releaseEvent({ event: event(), token });
      expect(await a.repository.finishEvent(finishing(next, 'applied'))).toBe('done');
    });

    test('keeps unmatched events for their customer, oldest first, and lets them be claimed again (T11)', async (a) => {
      for (const [id, createdAt] of [
        ['evt_b', AT + 2],
        ['evt_a', AT + 1],
        ['evt_c', AT + 2],
      ] as const) {
        const token = await a.claim({ id, createdAt });
        await a.repository.finishEvent(finishing(token, 'unmatched', { id }));
      }
      const waiting = await a.repository.listUnmatched({ provider: 'sandbox', customerId: 'cus_1' });
      expect(waiting).toEqual([
        event({ id: 'evt_a', createdAt: AT + 1 }),
        event({ id: 'evt_b', createdAt: AT + 2 }),
        event({ id: 'evt_c', createdAt: AT + 2 }),
      ]);
      await a.upTo(leaseMs);
      const between = await a.now();
      await a.past();
      const token = await a.claim({ id: 'evt_a' });
      expect(await a.repository.claimEvent({ event: event({ id: 'evt_a' }), leaseMs })).toEqual({
        outcome: 'busy',
      });
      await a.repository.finishEvent(finishing(token, 'applied', { id: 'evt_a' }));
      expect(await a.repository.listUnmatched({ provider: 'sandbox', customerId: 'cus_1' })).toHaveLength(2);
      expect(await a.repository.purgeEvents({ before: between }), 'but for the one claimed since').toBe(2);
      expect(await a.repository.listUnmatched({ provider: 'sandbox', customerId: 'cus_2' })).toEqual([]);
    });

    test('keeps no more unmatched events than it was told, the oldest go first (T11)', async (a) => {
      for (let index = 0; index < 6; index += 1) {
        const id = `evt_${index}`;
        const token = await a.claim({ id, createdAt: index < 4 ? AT : AT + 1 });
        await a.repository.finishEvent(finishing(token, 'unmatched', { id, maxUnmatched: 3 }));
      }
      const waiting = await a.repository.listUnmatched({ provider: 'sandbox', customerId: 'cus_1' });
      expect(waiting.map(({ id }) => id)).toEqual(['evt_3', 'evt_4', 'evt_5']);
      expect(await a.inspect.rows()).toBe(3);
    });

    test('forgets done events that were claimed before an instant, and no others', async (a) => {
      const token = await a.claim({ id: 'evt_done' });
      await a.repository.finishEvent(finishing(token, 'applied', { id: 'evt_done' }));
      await a.claim({ id: 'evt_open' });
      const now = await a.now();
      expect(await a.repository.purgeEvents({ before: now - 60_000 })).toBe(0);
      expect(await a.repository.purgeEvents({ before: now + 60_000 })).toBe(1);
      expect(await a.inspect.event(event({ id: 'evt_done' }))).toBeNull();
      expect(await a.inspect.event(event({ id: 'evt_open' }))).not.toBeNull();
    });

    test('gives a claim to the next caller when its lease ends, not before, and the first one has lost it (W6)', async (a) => {
      const token = await a.claim();
      await a.upTo(leaseMs);
      expect(await a.repository.claimEvent({ event: event(), leaseMs })).toEqual({ outcome: 'busy' });
      await a.past();
      expect(
        await a.repository.finishEvent({ ...finishing(token, 'applied'), effect: effect({}, null) }),
      ).toBe('lost');
      const next = await a.claim();
      expect(
        await a.repository.finishEvent({ ...finishing(token, 'applied'), effect: effect({}, null) }),
      ).toBe('lost');
      expect(await a.inspect.subscription(subscription())).toBeNull();
      expect(
        await a.repository.finishEvent({ ...finishing(next, 'applied'), effect: effect({}, null) }),
      ).toBe('done');
    });
  });

  describe('inbox races', () => {
    test('of 50 copies of one event at once, one is worked on and has the one effect (W2)', async (a) => {
      const handles = [a.repository, await a.peer()];
      let applied = 0;
      const deliver = async (handle: BillingRepository) => {
        const claim = await handle.claimEvent({ event: event(), leaseMs: 60_000 });
        if (claim.outcome !== 'claimed') return;
        const stored = await handle.findSubscription(subscription());
        const done = await handle.finishEvent({
          ...finishing(claim.token, 'applied'),
          effect: effect({}, stored?.version ?? null),
        });
        if (done === 'done') applied += 1;
      };
      await Promise.all(
        Array.from({ length: 50 }, (_, index) => deliver(handles[index % 2] ?? a.repository)),
      );
      expect(applied).toBe(1);
      expect(await a.inspect.subscription(subscription())).toMatchObject({ version: 1 });
    });

    test('of racing ends of one claim exactly one is done (W2)', async (a) => {
      const handles = [a.repository, await a.peer()];
      const token = await a.claim();
      const ends = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          (handles[index % 2] ?? a.repository).finishEvent(finishing(token, 'ignored')),
        ),
      );
      expect(ends.filter((end) => end === 'done')).toHaveLength(1);
      expect(ends.filter((end) => end === 'lost')).toHaveLength(9);
    });

    test('of racing writers of one version exactly one saves', async (a) => {
      const handles = [a.repository, await a.peer()];
      for (let version = 0; version < 5; version += 1) {
        const saves = await Promise.all(
          Array.from({ length: 10 }, (_, index) =>
            (handles[index % 2] ?? a.repository).saveSubscription({
              subscription: subscription({ quantity: index + 1 }),
              expectedVersion: version === 0 ? null : version,
              audit: audit(),
            }),
          ),
        );
        expect(saves.filter((saved) => saved === 'saved')).toHaveLength(1);
      }
      expect(await a.inspect.subscription(subscription())).toMatchObject({ version: 5 });
      expect(await a.repository.listAudit({ org: ORG, before: null, limit: 99 })).toHaveLength(5);
    });
  });
}
