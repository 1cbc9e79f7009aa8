import type { BillingRepository, CheckoutAttempt } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { BillingRepositoryHost } from '../billing-repository-host.ts';
import { audit, ORG, PROVIDER, repositoryTests } from './repository-case.ts';

/** An org has one checkout at a time (T27). */
export function checkouts<R extends BillingRepository>(host: BillingRepositoryHost<R>): void {
  const test = repositoryTests(host);
  const { leaseMs } = host.timing;
  const claiming = (id: string, tier = 'pro') => ({ org: ORG, provider: PROVIDER, tier, id, leaseMs });
  const attempt = (id: string, over: Partial<CheckoutAttempt> = {}): CheckoutAttempt => ({
    id,
    org: ORG,
    provider: PROVIDER,
    tier: 'pro',
    state: 'creating',
    sessionId: null,
    url: null,
    expiresAt: null,
    ...over,
  });
  const open = (id: string, over: Partial<CheckoutAttempt> = {}) =>
    attempt(id, { state: 'open', sessionId: `cs_${id}`, url: `https://pay.example/${id}`, ...over });

  describe('checkouts', () => {
    test('one caller starts it, the others wait, then all get the open page', async (a) => {
      expect(await a.repository.claimCheckout(claiming('one'))).toEqual({
        outcome: 'claimed',
        attempt: attempt('one'),
        replaces: null,
      });
      expect(await (await a.peer()).claimCheckout(claiming('two'))).toEqual({ outcome: 'busy' });
      const saved = await a.repository.saveCheckout({
        attempt: open('one'),
        audit: audit({ action: 'checkout.started' }),
      });
      expect(saved).toBe(true);
      expect(await a.repository.saveCheckout({ attempt: attempt('one'), audit: audit() })).toBe(false);
      expect(await a.inspect.checkout(ORG)).toEqual(open('one'));
      expect(await a.repository.claimCheckout(claiming('three'))).toEqual({
        outcome: 'open',
        attempt: open('one'),
      });
      expect(await a.repository.listAudit({ org: ORG, before: null, limit: 9 })).toHaveLength(1);
    });

    test('another tier closes the open page and says which one it was', async (a) => {
      await a.repository.claimCheckout(claiming('one'));
      await a.repository.saveCheckout({ attempt: open('one'), audit: null });
      expect(await a.repository.claimCheckout(claiming('two', 'business'))).toEqual({
        outcome: 'claimed',
        attempt: attempt('two', { tier: 'business' }),
        replaces: open('one', { state: 'closed' }),
      });
      expect(await a.repository.saveCheckout({ attempt: open('one'), audit: audit() })).toBe(false);
      expect(await a.inspect.checkout(ORG)).toMatchObject({ id: 'two', state: 'creating' });
      expect(await a.repository.listAudit({ org: ORG, before: null, limit: 9 })).toEqual([]);
    });

    test('a page at another provider gives way as one for another tier does', async (a) => {
      await a.repository.claimCheckout(claiming('one'));
      await a.repository.saveCheckout({ attempt: open('one'), audit: null });
      expect(await a.repository.claimCheckout({ ...claiming('two'), provider: 'other' })).toEqual({
        outcome: 'claimed',
        attempt: attempt('two', { provider: 'other' }),
        replaces: open('one', { state: 'closed' }),
      });
    });

    test('a page that is being replaced is closed without letting in another caller', async (a) => {
      await a.repository.claimCheckout(claiming('one'));
      await a.repository.saveCheckout({ attempt: open('one'), audit: null });
      await a.repository.claimCheckout(claiming('two', 'business'));
      await a.repository.closeCheckout({ org: ORG, provider: PROVIDER, sessionId: 'cs_one' });
      expect(await a.repository.claimCheckout(claiming('three'))).toEqual({ outcome: 'busy' });
      expect(await a.repository.saveCheckout({ attempt: open('two'), audit: null })).toBe(true);
    });

    test('a page that its caller died over is handed out until somebody saves', async (a) => {
      const replaces = { tier: 'pro', state: 'closed', sessionId: 'cs_one', url: 'https://pay.example/one' };
      await a.repository.claimCheckout(claiming('one'));
      await a.repository.saveCheckout({ attempt: open('one'), audit: null });
      for (const [id, tier] of [
        ['two', 'business'],
        ['three', 'pro'],
        ['four', 'business'],
      ] as const) {
        expect(await a.repository.claimCheckout(claiming(id, tier))).toMatchObject({
          outcome: 'claimed',
          attempt: attempt(id, { tier }),
          replaces,
        });
        await a.upTo(leaseMs);
        expect(await a.repository.claimCheckout(claiming('five'))).toEqual({ outcome: 'busy' });
        await a.past();
      }
      expect(await a.repository.claimCheckout(claiming('five'))).toMatchObject({ replaces });
      expect(
        await a.repository.saveCheckout({ attempt: attempt('five', { state: 'closed' }), audit: null }),
      ).toBe(true);
      expect(await a.repository.claimCheckout(claiming('six'))).toMatchObject({ replaces: null });
    });

    test('a page that was paid, expired or given up is no longer answered', async (a) => {
      const now = await a.now();
      for (const [id, closed] of [
        ['paid', open('paid', { state: 'closed' })],
        ['expired', open('expired', { expiresAt: now - 60_000 })],
      ] as const) {
        await a.repository.claimCheckout(claiming(id));
        await a.repository.saveCheckout({ attempt: closed, audit: null });
        expect(await a.repository.claimCheckout(claiming(`after-${id}`))).toMatchObject({
          outcome: 'claimed',
          replaces: null,
        });
        await a.repository.saveCheckout({
          attempt: attempt(`after-${id}`, { state: 'closed' }),
          audit: null,
        });
      }
    });

    test('a page is answered until the instant at which it expires, and not from then on', async (a) => {
      const expiresAt = (await a.now()) + leaseMs;
      await a.repository.claimCheckout(claiming('one'));
      await a.repository.saveCheckout({ attempt: open('one', { expiresAt }), audit: null });
      await a.upTo(leaseMs);
      expect(await a.repository.claimCheckout(claiming('two'))).toMatchObject({ outcome: 'open' });
      await a.past();
      expect(await a.repository.claimCheckout(claiming('two'))).toMatchObject({
        outcome: 'claimed',
        replaces: null,
      });
    });

    test('a page is closed by its session, once it is open', async (a) => {
      await a.repository.claimCheckout(claiming('one'));
      await a.repository.saveCheckout({ attempt: open('one'), audit: null });
      await a.repository.closeCheckout({ org: ORG, provider: PROVIDER, sessionId: 'cs_other' });
      await a.repository.closeCheckout({ org: 'globex', provider: PROVIDER, sessionId: 'cs_one' });
      await a.repository.closeCheckout({ org: ORG, provider: 'other', sessionId: 'cs_one' });
      expect(await a.inspect.checkout(ORG)).toEqual(open('one'));
      await a.repository.closeCheckout({ org: ORG, provider: PROVIDER, sessionId: 'cs_one' });
      expect(await a.inspect.checkout(ORG)).toEqual(open('one', { state: 'closed' }));
      await a.repository.closeCheckout({ org: ORG, provider: PROVIDER, sessionId: 'cs_one' });
      expect(await a.repository.claimCheckout(claiming('two'))).toMatchObject({
        outcome: 'claimed',
        replaces: null,
      });
    });

    test('a caller that died frees the checkout when its lease ends, not before, and can no longer save', async (a) => {
      await a.repository.claimCheckout(claiming('dead'));
      await a.upTo(leaseMs);
      expect(await a.repository.claimCheckout(claiming('next'))).toEqual({ outcome: 'busy' });
      await a.past();
      expect(await a.repository.saveCheckout({ attempt: open('dead'), audit: audit() })).toBe(false);
      expect(await a.repository.claimCheckout(claiming('next'))).toMatchObject({
        outcome: 'claimed',
        replaces: null,
      });
      expect(await a.repository.saveCheckout({ attempt: open('dead'), audit: audit() })).toBe(false);
      expect(await a.repository.saveCheckout({ attempt: open('next'), audit: null })).toBe(true);
    });

    test('of many callers at once one claims, the first time and again', async (a) => {
      const handles = [a.repository, await a.peer()];
      for (const round of ['first', 'again']) {
        const claims = await Promise.all(
          Array.from({ length: 30 }, (_, index) =>
            (handles[index % 2] ?? a.repository).claimCheckout({
              ...claiming(`${round}-${index}`),
              leaseMs: 60_000,
            }),
          ),
        );
        const claimed = claims.flatMap((claim) => (claim.outcome === 'claimed' ? [claim.attempt] : []));
        expect(claimed).toHaveLength(1);
        expect(claims.filter(({ outcome }) => outcome === 'busy')).toHaveLength(29);
        for (const { id } of claimed)
          await a.repository.saveCheckout({ attempt: attempt(id, { state: 'closed' }), audit: null });
      }
    });
  });
}
