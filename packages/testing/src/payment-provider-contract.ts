import type { PaymentProvider } from '@tollgate/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkoutContract } from './payment-provider/checkout-contract.ts';
import { outageContract } from './payment-provider/outage-contract.ts';
import { providerBench } from './payment-provider/provider-bench.ts';
import { repeatContract } from './payment-provider/repeat-contract.ts';
import { subscriptionContract } from './payment-provider/subscription-contract.ts';
import { webhookContract } from './payment-provider/webhook-contract.ts';
import type { PaymentProviderHost } from './payment-provider-host.ts';

/**
 * Registers the tests of what the port's comments require of a payment provider. Call it in a test file of your own:
 *
 * ```ts
 * paymentProviderContract({ create: () => myProvider(), tiers: { sold: ['pro', 'team'], unsold: null }, ... });
 * ```
 */
export function paymentProviderContract<P extends PaymentProvider>(host: PaymentProviderHost<P>): void {
  describe(`payment provider: ${host.name ?? 'unnamed'}`, () => {
    let provider: P;
    beforeEach(async () => {
      provider = await host.create();
    });
    afterEach(async () => {
      await host.teardown(provider);
    });
    const bench = providerBench(host, () => provider);

    checkoutContract(host, bench);
    subscriptionContract(host, bench);
    webhookContract(host, bench);
    repeatContract(host, bench);
    outageContract(host, bench);

    it('can be closed twice', async () => {
      await provider.close();
      await expect(provider.close()).resolves.toBeUndefined();
    });
  });
}
