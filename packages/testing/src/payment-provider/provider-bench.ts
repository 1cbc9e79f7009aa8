import type { CheckoutSession, PaymentProvider, ProviderEvent, ProviderSubscription } from '@tollgate/core';
import type { PaymentProviderHost, SignedWebhook } from '../payment-provider-host.ts';

/** A fresh provider and the steps its tests share. */
export interface ProviderBench<P extends PaymentProvider> {
  readonly provider: P;
  /** An unused idempotency key. */
  key(): string;
  customer(org?: string): Promise<string>;
  /** Opens a checkout page for the first tier. */
  open(customerId: string, idempotencyKey?: string): Promise<CheckoutSession>;
  /** A customer with a paid subscription to the first tier. */
  subscribe(): Promise<{
    readonly customerId: string;
    readonly subscriptionId: string;
    readonly sessionId: string;
  }>;
  fetched(subscriptionId: string): Promise<ProviderSubscription>;
  read(webhook: SignedWebhook, now?: number): Promise<readonly ProviderEvent[]>;
}

/** @param current - the provider of the running test */
export function providerBench<P extends PaymentProvider>(
  host: PaymentProviderHost<P>,
  current: () => P,
): ProviderBench<P> {
  const [tier] = host.tiers.sold;
  let keys = 0;
  const bench: ProviderBench<P> = {
    get provider() {
      return current();
    },
    key() {
      keys += 1;
      return `contract-${keys}`;
    },
    async customer(org = 'acme') {
      return (await current().createCustomer({ org, idempotencyKey: bench.key() })).customerId;
    },
    async open(customerId, idempotencyKey = bench.key()) {
      return await current().openCheckout({ org: 'acme', customerId, tier, idempotencyKey });
    },
    async subscribe() {
      const customerId = await bench.customer();
      const session = await bench.open(customerId);
      return { customerId, sessionId: session.id, subscriptionId: await host.act.pay(current(), session.id) };
    },
    async fetched(subscriptionId) {
      const subscription = await current().fetchSubscription({ subscriptionId });
      if (subscription === null) throw new Error('The provider does not know its own subscription.');
      return subscription;
    },
    read({ bytes, headers }, now = host.now(current())) {
      return current().readWebhook({ bytes, header: (name) => headers[name.toLowerCase()], now });
    },
  };
  return bench;
}
