import type { PaymentProvider } from '@tollgate/core';

/** A webhook as the provider posts it. */
export interface SignedWebhook {
  readonly bytes: Uint8Array;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
}

/** `error`, `busy` and `timeout` fail before anything is done; `lost_reply` does the work and then loses the reply. */
export type ProviderOutage = 'error' | 'busy' | 'timeout' | 'lost_reply';

/** What the payment provider contract runs on. */
export interface PaymentProviderHost<P extends PaymentProvider = PaymentProvider> {
  /** Shown in the names of the tests. */
  readonly name?: string;
  /** A provider on which nothing has happened yet. */
  create(): Promise<P> | P;
  /** Two tiers it sells, and one it does not; null when it sells every tier. */
  readonly tiers: { readonly sold: readonly [string, string]; readonly unsold: string | null };
  /** What `cancelSubscription` does to a paid subscription. */
  readonly cancels: 'at_once' | 'at_period_end';
  /** The provider's time, epoch ms. */
  now(provider: P): number;
  /** Reads what the payment company has without going through the port, so that the contract does not rely on the provider's answers. */
  readonly inspect: {
    /** Ids of the customers made for an org. */
    customers(provider: P, org: string): Promise<readonly string[]> | readonly string[];
    /** Ids of a customer's checkout pages that can still be paid. */
    openPages(provider: P, customerId: string): Promise<readonly string[]> | readonly string[];
    subscriptions(
      provider: P,
      customerId: string,
    ):
      | Promise<readonly { readonly id: string; readonly tier: string | null; readonly status: string }[]>
      | readonly { readonly id: string; readonly tier: string | null; readonly status: string }[];
  };
  /** What happens at the payment company outside the port. */
  readonly act: {
    /** The customer pays on the page; returns the subscription's id. */
    pay(provider: P, sessionId: string): Promise<string> | string;
    setStatus(provider: P, subscriptionId: string, status: 'past_due' | 'canceled'): Promise<void> | void;
    /** Somebody deletes a customer for good. */
    deleteCustomer(provider: P, customerId: string): Promise<void> | void;
  };
  readonly webhooks: {
    /** Everything posted so far, oldest first, signed as of now. */
    sent(provider: P): Promise<readonly SignedWebhook[]> | readonly SignedWebhook[];
    /** The headers with which any bytes would be posted at an instant, epoch ms. */
    sign(provider: P, bytes: Uint8Array, at: number): Readonly<Record<string, string>>;
    /** The header that holds the signature, in lower case. */
    readonly signatureHeader: string;
  };
  /** How to make every call fail, or why that is impossible. */
  readonly outage:
    | { set(provider: P, outage: ProviderOutage | null): Promise<void> | void }
    | { readonly impossibleBecause: string };
  /** Closes what `create` opened. */
  teardown(provider: P): Promise<void> | void;
}
