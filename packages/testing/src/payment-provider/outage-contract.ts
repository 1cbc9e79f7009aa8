import type { PaymentProvider } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import type { PaymentProviderHost, ProviderOutage } from '../payment-provider-host.ts';
import type { ProviderBench } from './provider-bench.ts';

/** How calls to a failing provider end. */
export function outageContract<P extends PaymentProvider>(
  host: PaymentProviderHost<P>,
  bench: ProviderBench<P>,
): void {
  const [, otherTier] = host.tiers.sold;

  describe('outage', () => {
    const codes: Readonly<Record<ProviderOutage, string>> = {
      error: 'provider_error',
      busy: 'provider_busy',
      timeout: 'provider_timeout',
      lost_reply: 'provider_timeout',
    };

    it.each(['error', 'busy', 'timeout'] as const)(
      'T29: fails every call as what it is, doing nothing: %s',
      async (kind) => {
        const { customerId, subscriptionId, sessionId } = await bench.subscribe();
        const before = await bench.fetched(subscriptionId);
        await withOutage(kind, async () => {
          const calls = [
            bench.provider.createCustomer({ org: 'globex', idempotencyKey: bench.key() }),
            bench.provider.hasCustomer({ customerId }),
            bench.open(customerId),
            bench.provider.fetchCheckout({ sessionId }),
            bench.provider.expireCheckout({ sessionId }),
            bench.provider.changeSubscription({
              subscriptionId,
              tier: otherTier,
              idempotencyKey: bench.key(),
            }),
            bench.provider.cancelSubscription({ subscriptionId, idempotencyKey: bench.key() }),
            bench.provider.fetchSubscription({ subscriptionId }),
            bench.provider.listSubscriptions({ customerId }),
          ];
          for (const result of await Promise.allSettled(calls)) {
            expect(result).toMatchObject({
              status: 'rejected',
              reason: { name: 'TollgateError', code: codes[kind] },
            });
          }
        });
        expect(await bench.fetched(subscriptionId)).toEqual(before);
        expect(await host.inspect.customers(bench.provider, 'globex')).toEqual([]);
        expect(await host.inspect.openPages(bench.provider, customerId)).toEqual([]);
      },
    );

    it('F13: has one effect when the answer was lost and the call is repeated with its key', async () => {
      const customerId = await bench.customer();
      const again = bench.key();
      await withOutage('lost_reply', async () => {
        await expect(bench.open(customerId, again)).rejects.toMatchObject({ code: codes.lost_reply });
      });
      const session = await bench.open(customerId, again);
      expect(await host.inspect.openPages(bench.provider, customerId)).toEqual([session.id]);
    });

    it('still verifies webhooks, which needs nobody', async () => {
      await bench.subscribe();
      const [webhook] = await host.webhooks.sent(bench.provider);
      await withOutage('timeout', async () => {
        expect(webhook && (await bench.read(webhook))).toHaveLength(1);
      });
    });

    async function withOutage(kind: ProviderOutage, body: () => Promise<void>): Promise<void> {
      const { outage } = host;
      if ('impossibleBecause' in outage) {
        expect(outage.impossibleBecause).not.toBe('');
        return;
      }
      await outage.set(bench.provider, kind);
      try {
        await body();
      } finally {
        await outage.set(bench.provider, null);
      }
    }
  });
}
