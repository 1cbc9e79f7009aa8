import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Stripe } from 'stripe';
import { callStripe } from './call-stripe.ts';
import type { ClientSettings } from './stripe-settings.ts';

/** The API version that every request names, whatever the account's default. */
export const API_VERSION = '2026-10-28.endive';

/** The Stripe SDK, loaded on first use: a process without billing calls saves the time and memory that its module costs. */
export interface StripeClient {
  /** Calls the API. @throws TollgateError as `callStripe` does */
  ask<T>(question: (stripe: Stripe) => Promise<T>): Promise<T>;
  close(): void;
}

export function createStripeClient(settings: ClientSettings): StripeClient {
  const { secretKey, account, apiBase, timeoutMs, maxNetworkRetries } = settings;
  const agent =
    apiBase?.protocol === 'http' ? new HttpAgent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true });
  // The SDK's own time-out restarts with each byte received, so the whole call has a deadline as well.
  const deadlineMs = (timeoutMs + 5_000) * (maxNetworkRetries + 1);
  let loading: Promise<Stripe> | null = null;

  async function load(): Promise<Stripe> {
    // Compiled to `require`, as by Jest and swc, the SDK's CommonJS build has its class under this name only.
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
