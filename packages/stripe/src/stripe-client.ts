import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Stripe } from 'stripe';
import { callStripe } from './call-stripe.ts';
import type { ClientSettings } from './stripe-settings.ts';

/** The API version every request names, whatever the account's default is. */
export const API_VERSION = '2026-10-28.endive';

/** Stripe's own client, loaded when it is first needed: its module costs time and memory that a process without billing calls saves. */
export interface StripeClient {
  /** Asks the API something. @throws TollgateError what `callStripe` makes of a failure. */
  ask<T>(question: (stripe: Stripe) => Promise<T>): Promise<T>;
  close(): void;
}

export function createStripeClient(settings: ClientSettings): StripeClient {
  const { secretKey, account, apiBase, timeoutMs, maxNetworkRetries } = settings;
  const agent =
    apiBase?.protocol === 'http' ? new HttpAgent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true });
  // The client's own limit starts anew with each byte that comes, so the whole call has one beside it.
  const deadlineMs = (timeoutMs + 5_000) * (maxNetworkRetries + 1);
  let loading: Promise<Stripe> | null = null;

  async function load(): Promise<Stripe> {
    // Where that is compiled to `require`, as by Jest and swc, the client's CommonJS build has its class under this name only.
    const { default: Stripe } = await import('stripe');
    return new Stripe(secretKey, {
      apiVersion: API_VERSION,
      timeout: timeoutMs,
      maxNetworkRetries,
      telemetry: false,
      httpAgent: agent,
      appInfo: { name: 'tollgate' },
      ...(account === null ? {} : { stripeAccount: account }),
      ...(apiBase === null ? {} : apiBase),
    });
  }

  return {
    async ask(question) {
      loading ??= load().catch((error) => {
        loading = null;
        throw error;
      });
      const stripe = await loading;
      return await callStripe(() => question(stripe), deadlineMs);
    },
    close: () => agent.destroy(),
  };
}
