import type { BillingRepository } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { BillingRepositoryHost } from '../billing-repository-host.ts';
import { AT, audit, ORG, override, PROVIDER, repositoryTests, subscription } from './repository-case.ts';

/** Customers, subscriptions, overrides and the audit trail. */
export function orgRecords<R extends BillingRepository>(host: BillingRepositoryHost<R>): void {
  const test = repositoryTests(host);

  describe('an org', () => {
    test('that nobody heard of has nothing, and asking stores nothing (T17)', async (a) => {
      expect(await a.repository.loadOrg('ghost')).toEqual({
        customers: [],
        subscriptions: [],
        overrides: [],
      });
      expect(await a.repository.loadDegradation('ghost')).toMatchObject({
        policy: null,
        overCapacityAt: null,
        stage: 'none',
        flags: [],
        pins: [],
        version: 0,
      });
      expect(await a.repository.findCustomer({ provider: PROVIDER, customerId: 'ghost' })).toBeNull();
      expect(await a.repository.findSubscription({ provider: PROVIDER, id: 'ghost' })).toBeNull();
      expect(await a.repository.loadUsage({ org: 'ghost', windows: [{ key: 'k', window: 'w' }] })).toEqual([
        null,
      ]);
      expect(await a.inspect.rows()).toBe(0);
    });

    test('loads with all that decides its limits, and nothing of another org (A1)', async (a) => {
      for (const org of [ORG, 'globex']) {
        await a.repository.linkCustomer({ org, provider: PROVIDER, customerId: `cus_${org}` });
        await a.repository.saveSubscription({
          subscription: subscription({ org, id: `sub_${org}` }),
          expectedVersion: null,
          audit: null,
        });
        await a.repository.upsertOverride({
          override: override({ id: `ovr_${org}`, subjectId: org, expiresAt: 1 }),
          actor: 'olga',
        });
      }
      await a.repository.upsertOverride({
        override: override({ id: 'ovr_user', subjectType: 'user' }),
        actor: 'olga',
      });
      expect(await a.repository.loadOrg(ORG)).toEqual({
        customers: [{ org: ORG, provider: PROVIDER, customerId: 'cus_acme' }],
        subscriptions: [{ ...subscription({ id: 'sub_acme' }), version: 1 }],
        overrides: [override({ id: 'ovr_acme', expiresAt: 1 })],
      });
    });

    test('keeps its first customer at a provider', async (a) => {
      const first = { org: ORG, provider: PROVIDER, customerId: 'cus_1' };
      expect(await a.repository.linkCustomer(first)).toEqual(first);
      expect(await a.repository.linkCustomer({ ...first, customerId: 'cus_2' })).toEqual(first);
      expect(await a.repository.findCustomer({ provider: PROVIDER, customerId: 'cus_1' })).toEqual(first);
      expect(await a.repository.findCustomer({ provider: PROVIDER, customerId: 'cus_2' })).toBeNull();
      expect(await a.repository.findCustomer({ provider: 'other', customerId: 'cus_1' })).toBeNull();
    });
  });

  describe('a customer that is gone', () => {
    const first = { org: ORG, provider: PROVIDER, customerId: 'cus_1' };
    const second = { ...first, customerId: 'cus_2' };

    test('gives way to another one, and pays for nobody then', async (a) => {
      await a.repository.linkCustomer(first);
      expect(await a.repository.replaceCustomer({ customer: second, gone: 'cus_1' })).toEqual(second);
      expect(await a.repository.findCustomer({ provider: PROVIDER, customerId: 'cus_1' })).toBeNull();
      expect(await a.repository.findCustomer({ provider: PROVIDER, customerId: 'cus_2' })).toEqual(second);
      expect((await a.repository.loadOrg(ORG)).customers).toEqual([second]);
      expect(await a.repository.linkCustomer(first)).toEqual(second);
    });

    test('gives way once: who comes later gets the one that came first', async (a) => {
      await a.repository.linkCustomer(first);
      const customers = Array.from({ length: 20 }, (_, index) => ({
        ...first,
        customerId: `cus_new_${index}`,
      }));
      const handles = [a.repository, await a.peer()];
      const stored = await Promise.all(
        customers.map((customer, index) =>
          (handles[index % 2] ?? a.repository).replaceCustomer({ customer, gone: 'cus_1' }),
        ),
      );
      expect(new Set(stored.map(({ customerId }) => customerId)).size).toBe(1);
      expect((await a.repository.loadOrg(ORG)).customers).toEqual([stored[0]]);
    });

    test('is no other org’s, and no other provider’s', async (a) => {
      await a.repository.linkCustomer(first);
      const others = [
        { ...second, org: 'globex' },
        { ...second, provider: 'other' },
      ];
      for (const other of others) {
        await a.repository.linkCustomer({ ...other, customerId: 'cus_3' });
        expect(await a.repository.replaceCustomer({ customer: other, gone: 'cus_1' })).toEqual({
          ...other,
          customerId: 'cus_3',
        });
      }
      expect((await a.repository.loadOrg(ORG)).customers).toContainEqual(first);
    });

    test('is as good as none where none is stored', async (a) => {
      expect(await a.repository.replaceCustomer({ customer: second, gone: 'cus_1' })).toEqual(second);
      expect(await a.repository.linkCustomer(first)).toEqual(second);
    });
  });

  describe('subscriptions', () => {
    test('are stored whole, word for word and to the millisecond', async (a) => {
      const full = subscription({
        status: 'some_new_status',
        tier: null,
        quantity: 7,
        interval: 'year',
        trialEndsAt: AT + 2,
        cancelsAt: AT + 3,
        scheduledTier: 'free',
        scheduledAt: AT + 4,
        pastDueAt: AT + 5,
        endedAt: AT + 6,
      });
      expect(
        await a.repository.saveSubscription({ subscription: full, expectedVersion: null, audit: null }),
      ).toBe('saved');
      expect(await a.inspect.subscription(full)).toEqual({ ...full, version: 1 });
      expect(await a.repository.findSubscription(full)).toEqual({ ...full, version: 1 });
      const changed = { ...full, org: 'globex', scheduledAt: AT + 7, pastDueAt: AT + 8, createdAt: AT + 9 };
      await a.repository.saveSubscription({ subscription: changed, expectedVersion: 1, audit: null });
      expect(await a.inspect.subscription(full)).toEqual({ ...changed, version: 2 });
    });

    test('are only written over the version the writer read', async (a) => {
      const save = (status: string, expectedVersion: number | null) =>
        a.repository.saveSubscription({
          subscription: subscription({ status }),
          expectedVersion,
          audit: audit({ after: { status } }),
        });
      expect(await save('active', 1)).toBe('conflict');
      expect(await save('active', null)).toBe('saved');
      expect(await save('past_due', null)).toBe('conflict');
      expect(await save('past_due', 1)).toBe('saved');
      expect(await save('canceled', 1)).toBe('conflict');
      expect(await save('canceled', 3)).toBe('conflict');
      expect(await a.inspect.subscription(subscription())).toMatchObject({ status: 'past_due', version: 2 });
      const trail = await a.repository.listAudit({ org: ORG, before: null, limit: 10 });
      expect(trail.map(({ after }) => after)).toEqual([{ status: 'past_due' }, { status: 'active' }]);
    });

    test('and customers are walked in pages, each once', async (a) => {
      const ids = ['sub_3', 'sub_4', 'sub_5', 'sub_6', 'sub_1', 'sub_2', 'sub_7'];
      for (const [index, id] of [...ids.entries()].toReversed()) {
        const provider = index < 4 ? PROVIDER : 'stripe';
        await a.repository.saveSubscription({
          subscription: subscription({ provider, id }),
          expectedVersion: null,
          audit: null,
        });
        await a.repository.linkCustomer({ org: id, provider, customerId: id });
      }
      const seen: string[] = [];
      const customers: string[] = [];
      for (let after = null as { provider: string; id: string } | null; ; ) {
        const page = await a.repository.listSubscriptions({ after, limit: 3 });
        seen.push(...page.map(({ id }) => id));
        const last = page.at(-1);
        if (!last) break;
        after = { provider: last.provider, id: last.id };
      }
      for (let after = null as { provider: string; customerId: string } | null; ; ) {
        const page = await a.repository.listCustomers({ after, limit: 3 });
        customers.push(...page.map(({ customerId }) => customerId));
        const last = page.at(-1);
        if (!last) break;
        after = { provider: last.provider, customerId: last.customerId };
      }
      expect(seen).toEqual(ids);
      expect(customers).toEqual(ids);
    });
  });

  describe('overrides', () => {
    test('are one a subject, key and period; a second one keeps the id and the time of the first', async (a) => {
      expect(await a.repository.upsertOverride({ override: override(), actor: 'olga' })).toEqual(override());
      const second = override({
        id: 'ovr_2',
        limit: null,
        createdBy: 'otto',
        createdAt: AT + 5,
        updatedAt: AT + 5,
      });
      const stored = { ...second, id: 'ovr_1', createdAt: AT };
      expect(await a.repository.upsertOverride({ override: second, actor: 'otto' })).toEqual(stored);
      expect(await a.inspect.override('ovr_1')).toEqual(stored);
      expect(await a.inspect.override('ovr_2')).toBeNull();
      const ofDay = override({ id: 'ovr_3', key: 'zones', period: 'day' });
      await a.repository.upsertOverride({ override: ofDay, actor: 'olga' });
      await a.repository.upsertOverride({
        override: override({ id: 'ovr_4', key: 'zones' }),
        actor: 'olga',
      });
      expect(await a.inspect.override('ovr_3')).toEqual(ofDay);
      expect(await a.repository.listOverrides({ liveAt: null })).toHaveLength(3);
    });

    test('end at their instant without any job (Q12)', async (a) => {
      await a.repository.upsertOverride({ override: override({ expiresAt: AT }), actor: 'olga' });
      await a.repository.upsertOverride({ override: override({ id: 'ovr_2', key: 'zones' }), actor: 'olga' });
      const live = async (liveAt: number | null) =>
        (await a.repository.listOverrides({ liveAt })).map(({ id }) => id);
      expect(await live(AT - 1)).toEqual(['ovr_1', 'ovr_2']);
      expect(await live(AT)).toEqual(['ovr_2']);
      expect(await live(null)).toEqual(['ovr_1', 'ovr_2']);
    });

    test('leave who, before and after in the trail (T22)', async (a) => {
      await a.repository.upsertOverride({ override: override(), actor: 'olga' });
      await a.repository.upsertOverride({
        override: override({ id: 'x', limit: 0, updatedAt: AT + 1 }),
        actor: 'otto',
      });
      const [last, first] = await a.repository.listAudit({ org: ORG, before: null, limit: 10 });
      expect(first).toMatchObject({
        actor: 'olga',
        action: 'override.set',
        subject: 'ovr_1',
        before: null,
        after: { limit: 12 },
      });
      expect(last).toMatchObject({
        actor: 'otto',
        subject: 'ovr_1',
        at: AT + 1,
        before: { limit: 12 },
        after: { limit: 0, id: 'ovr_1' },
      });
    });

    test('that race leave a trail in which each follows from the one before (T22)', async (a) => {
      const handles = [a.repository, await a.peer()];
      await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          (handles[n % 2] ?? a.repository).upsertOverride({
            override: override({ id: `ovr_${n}`, limit: n }),
            actor: 'olga',
          }),
        ),
      );
      const trail = await a.repository.listAudit({ org: ORG, before: null, limit: 99 });
      expect(trail).toHaveLength(10);
      expect(trail.map(({ before }) => before)).toEqual([...trail.slice(1).map(({ after }) => after), null]);
      expect((await a.repository.loadOrg(ORG)).overrides).toEqual([trail[0]?.after]);
    });
  });

  describe('the audit trail', () => {
    test('is read newest first, in pages, of one org or of all', async (a) => {
      for (let index = 1; index <= 5; index += 1) {
        await a.repository.setSelectionPolicy({
          org: index === 3 ? 'globex' : ORG,
          policy: 'manual',
          audit: audit({ org: index === 3 ? 'globex' : ORG, action: 'policy.set', after: { index } }),
        });
      }
      const indexes = (entries: readonly { after: unknown }[]) =>
        entries.map(({ after }) => (after as { index: number }).index);
      const first = await a.repository.listAudit({ org: ORG, before: null, limit: 2 });
      expect(indexes(first)).toEqual([5, 4]);
      const rest = await a.repository.listAudit({
        org: ORG,
        before: first.at(-1)?.position ?? null,
        limit: 10,
      });
      expect(indexes(rest)).toEqual([2, 1]);
      expect(indexes(await a.repository.listAudit({ org: null, before: null, limit: 10 }))).toEqual([
        5, 4, 3, 2, 1,
      ]);
    });
  });
}
