import type { PaymentProvider } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import type { PaymentProviderHost } from '../payment-provider-host.ts';
import type { ProviderBench } from './provider-bench.ts';

/** What a provider says about itself, its checkout pages and its portal. */
export function checkoutContract<P extends PaymentProvider>(
  host: PaymentProviderHost<P>,
  bench: ProviderBench<P>,
): void {
  const [tier] = host.tiers.sold;

  describe('what it says of itself', () => {
    it('has a name fit for URLs', () => {
      expect(bench.provider.name).toMatch(/^[a-z0-9_-]{1,32}$/);
    });

    it('sells the tiers it has a price for', () => {
      expect(host.tiers.sold.map((slug) => bench.provider.sells(slug))).toEqual([true, true]);
      expect(host.tiers.unsold !== null && bench.provider.sells(host.tiers.unsold)).toBe(false);
    });
  });

  describe('checkout', () => {
    it('opens a page on one of its page origins, which is open until it is paid', async () => {
      const customerId = await bench.customer();
      const session = await bench.open(customerId);
      expect(session.url).not.toBeNull();
      expect(bench.provider.pageOrigins).toContain(new URL(session.url ?? '').origin);
      expect(session.expiresAt === null || session.expiresAt > host.now(bench.provider)).toBe(true);
      expect(await bench.provider.fetchCheckout({ sessionId: session.id })).toMatchObject({
        id: session.id,
        state: 'open',
        url: session.url,
        customerId,
        subscriptionId: null,
      });
    });

    it('makes one subscription of a paid page, and says which', async () => {
      const { customerId, sessionId, subscriptionId } = await bench.subscribe();
      expect(await bench.provider.fetchCheckout({ sessionId })).toMatchObject({
        state: 'complete',
        customerId,
        subscriptionId,
      });
      expect(await host.inspect.subscriptions(bench.provider, customerId)).toMatchObject([
        { id: subscriptionId, tier },
      ]);
    });

    it('ends an open page, so that nobody can pay there', async () => {
      const customerId = await bench.customer();
      const { id: sessionId } = await bench.open(customerId);
      await bench.provider.expireCheckout({ sessionId });
      expect(await host.inspect.openPages(bench.provider, customerId)).toEqual([]);
      expect(await bench.provider.fetchCheckout({ sessionId })).toMatchObject({
        state: 'expired',
        subscriptionId: null,
      });
      await expect((async () => await host.act.pay(bench.provider, sessionId))()).rejects.toThrow();
    });

    it('leaves a paid or ended page alone when it is told to end it', async () => {
      const { customerId, sessionId, subscriptionId } = await bench.subscribe();
      await bench.provider.expireCheckout({ sessionId });
      await bench.provider.expireCheckout({ sessionId });
      expect(await bench.provider.fetchCheckout({ sessionId })).toMatchObject({
        state: 'complete',
        subscriptionId,
      });
      expect(await host.inspect.subscriptions(bench.provider, customerId)).toHaveLength(1);
    });

    it('answers null for a page it does not know', async () => {
      expect(await bench.provider.fetchCheckout({ sessionId: 'cs_test_none' })).toBeNull();
    });
  });

  describe('a customer', () => {
    it('is there until it is deleted, and one of another org stays', async () => {
      const [customerId, other] = [await bench.customer(), await bench.customer('globex')];
      expect(await bench.provider.hasCustomer({ customerId })).toBe(true);
      await host.act.deleteCustomer(bench.provider, customerId);
      expect(await bench.provider.hasCustomer({ customerId })).toBe(false);
      expect(await bench.provider.hasCustomer({ customerId: other })).toBe(true);
    });

    it('that is gone has nothing that lives, and gets no page', async () => {
      const { customerId, subscriptionId } = await bench.subscribe();
      await host.act.deleteCustomer(bench.provider, customerId);
      const listed = await bench.provider.listSubscriptions({ customerId });
      expect(listed.filter(({ endedAt }) => endedAt === null)).toEqual([]);
      const fetched = await bench.provider.fetchSubscription({ subscriptionId });
      expect(fetched === null || fetched.endedAt !== null).toBe(true);
      await expect(bench.open(customerId)).rejects.toMatchObject({ code: 'provider_error' });
      expect(await host.inspect.openPages(bench.provider, customerId)).toEqual([]);
      const returnUrl = 'https://app.example.com/billing';
      const portal = bench.provider.portal?.openPortal({ customerId, returnUrl });
      if (portal !== undefined) await expect(portal).rejects.toMatchObject({ code: 'provider_error' });
    });
  });

  describe('portal', () => {
    it('opens a page on one of its page origins, or is null', async () => {
      const { portal } = bench.provider;
      const customerId = await bench.customer();
      const page = await portal?.openPortal({ customerId, returnUrl: 'https://app.example.com/billing' });
      expect(page === undefined || bench.provider.pageOrigins.includes(new URL(page.url).origin)).toBe(true);
    });
  });
}
