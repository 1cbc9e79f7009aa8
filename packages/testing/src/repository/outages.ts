import type { BillingRepository } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { BillingRepositoryHost } from '../billing-repository-host.ts';
import { audit, event, ORG, override, PROVIDER, repositoryTests, subscription } from './repository-case.ts';

/** What a repository does while the service behind it is down, and once it is back. */
export function repositoryOutages<R extends BillingRepository>(host: BillingRepositoryHost<R>): void {
  const { outage } = host;
  const test = repositoryTests(host);
  const calls = (repository: BillingRepository): readonly (() => Promise<unknown>)[] => [
    () => repository.loadOrg(ORG),
    () => repository.linkCustomer({ org: ORG, provider: PROVIDER, customerId: 'cus_1' }),
    () =>
      repository.replaceCustomer({
        customer: { org: ORG, provider: PROVIDER, customerId: 'cus_2' },
        gone: 'cus_1',
      }),
    () =>
      repository.saveSubscription({ subscription: subscription(), expectedVersion: null, audit: audit() }),
    () => repository.claimCheckout({ org: ORG, provider: PROVIDER, tier: 'pro', id: 'one', leaseMs: 1_000 }),
    () => repository.claimEvent({ event: event(), leaseMs: 1_000 }),
    () => repository.upsertOverride({ override: override(), actor: 'olga' }),
    () => repository.loadDegradation(ORG),
    () => repository.claimSweeps({ org: null, dueAt: null, limit: 1, leaseMs: 1_000 }),
    () => repository.saveUsage([{ org: ORG, key: 'opens', window: 'w', used: 1, endsAt: null }]),
    () => repository.listAudit({ org: null, before: null, limit: 1 }),
  ];

  if ('impossibleBecause' in outage) {
    describe(`outage: only by closing it, because ${outage.impossibleBecause}`, () => {
      test('once closed, every call fails as unavailable and closing again does no harm', async (a) => {
        await a.repository.close();
        for (const call of calls(a.repository))
          await expect(call()).rejects.toMatchObject({ code: 'repository_unavailable' });
        await a.repository.close();
      });
    });
    return;
  }

  describe('outage', () => {
    test('every call fails as unavailable in bounded time, nothing of it is done, and all works again afterwards', async (a) => {
      const before = await a.inspect.rows();
      await outage.break(a.repository);
      try {
        for (const call of calls(a.repository)) {
          const startedAt = performance.now();
          await expect(call()).rejects.toMatchObject({ code: 'repository_unavailable' });
          expect(performance.now() - startedAt).toBeLessThan(outage.answersWithinMs);
        }
      } finally {
        await outage.mend(a.repository);
      }
      const answers = () =>
        a.repository.loadOrg(ORG).then(
          () => 'answers',
          () => 'away',
        );
      await expect.poll(answers, { timeout: 10_000 }).toBe('answers');
      expect(await a.inspect.rows()).toBe(before);
      for (const call of calls(a.repository)) await call();
      expect(await a.inspect.subscription(subscription())).toMatchObject({ version: 1 });
    });
  });
}
