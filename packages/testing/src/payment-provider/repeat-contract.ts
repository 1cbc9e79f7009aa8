import type { PaymentProvider } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import type { PaymentProviderHost } from '../payment-provider-host.ts';
import type { ProviderBench } from './provider-bench.ts';

/** Repeated calls, one after another and concurrent. */
export function repeatContract<P extends PaymentProvider>(
  host: PaymentProviderHost<P>,
  bench: ProviderBench<P>,
): void {
  const [tier, otherTier] = host.tiers.sold;

  describe('retry: one idempotency key has one effect', () => {
    it('makes one customer', async () => {
      const request = { org: 'acme', idempotencyKey: bench.key() };
      const ids = [
        await bench.provider.createCustomer(request),
        await bench.provider.createCustomer(request),
      ];
      expect(ids[0]).toEqual(ids[1]);
      expect(await host.inspect.customers(bench.provider, 'acme')).toHaveLength(1);
    });

    it('opens one page', async () => {
      const customerId = await bench.customer();
      const again = bench.key();
      const first = await bench.open(customerId, again);
      expect((await bench.open(customerId, again)).id).toBe(first.id);
      expect(await host.inspect.openPages(bench.provider, customerId)).toEqual([first.id]);
    });

    it('moves and ends a subscription once', async () => {
      const { subscriptionId } = await bench.subscribe();
      const change = { subscriptionId, tier: otherTier, idempotencyKey: bench.key() };
      expect(await bench.provider.changeSubscription(change)).toEqual(
        await bench.provider.changeSubscription(change),
      );
      const cancel = { subscriptionId, idempotencyKey: bench.key() };
      expect(await bench.provider.cancelSubscription(cancel)).toEqual(
        await bench.provider.cancelSubscription(cancel),
      );
    });

    it('does not undo a later change when an earlier one is repeated', async () => {
      const { subscriptionId } = await bench.subscribe();
      const first = { subscriptionId, tier: otherTier, idempotencyKey: bench.key() };
      await bench.provider.changeSubscription(first);
      await bench.provider.changeSubscription({ subscriptionId, tier, idempotencyKey: bench.key() });
      await bench.provider.changeSubscription(first);
      expect(await bench.fetched(subscriptionId)).toMatchObject({ tier });
    });

    it('refuses the key with other parameters, having done nothing', async () => {
      const { customerId, subscriptionId } = await bench.subscribe();
      const again = bench.key();
      await bench.provider.changeSubscription({ subscriptionId, tier: otherTier, idempotencyKey: again });
      const other = bench.provider.changeSubscription({ subscriptionId, tier, idempotencyKey: again });
      await expect(other).rejects.toMatchObject({ code: 'provider_error' });
      expect(await host.inspect.subscriptions(bench.provider, customerId)).toMatchObject([
        { tier: otherTier },
      ]);
    });
  });

  describe('race: one idempotency key has one effect at once', () => {
    it('makes one customer for twenty callers', async () => {
      const request = { org: 'acme', idempotencyKey: bench.key() };
      const made = await Promise.all(
        Array.from({ length: 20 }, () => bench.provider.createCustomer(request)),
      );
      expect(new Set(made.map(({ customerId }) => customerId)).size).toBe(1);
      expect(await host.inspect.customers(bench.provider, 'acme')).toHaveLength(1);
    });

    it('opens one page for twenty callers', async () => {
      const customerId = await bench.customer();
      const again = bench.key();
      const opened = await Promise.all(Array.from({ length: 20 }, () => bench.open(customerId, again)));
      expect(new Set(opened.map(({ id }) => id)).size).toBe(1);
      expect(await host.inspect.openPages(bench.provider, customerId)).toHaveLength(1);
    });

    it('lets a page be paid or ended, never both', async () => {
      const customerId = await bench.customer();
      const { id: sessionId } = await bench.open(customerId);
      const [paid] = await Promise.allSettled([
        (async () => await host.act.pay(bench.provider, sessionId))(),
        bench.provider.expireCheckout({ sessionId }),
      ]);
      const isPaid = paid.status === 'fulfilled';
      expect(await bench.provider.fetchCheckout({ sessionId })).toMatchObject({
        state: isPaid ? 'complete' : 'expired',
      });
      expect(await host.inspect.subscriptions(bench.provider, customerId)).toHaveLength(isPaid ? 1 : 0);
    });
  });
}
