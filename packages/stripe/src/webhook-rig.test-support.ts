import { createHmac } from 'node:crypto';
import type { ProviderEvent } from '@tollgate/core';
import type { StripeOptions } from './stripe-options.ts';
import { type StripeProvider, stripeProvider } from './stripe-provider.ts';

export const SECRET = 'whsec_first_secret_0123456789';
export const OTHER_SECRET = 'whsec_second_secret_0123456789';
/** A whole second. */
export const NOW = Date.UTC(2026, 3, 9, 12);

/** A provider without a Stripe to call, for webhooks that are only verified and read. */
export function webhookProvider(options: Partial<StripeOptions> = {}): StripeProvider {
  return stripeProvider({
    secretKey: 'sk_test_0123456789abcdef',
    webhookSecrets: SECRET,
    prices: {
      pro: { month: 'price_pro', year: 'price_pro_year', legacy: ['price_pro_old'] },
      team: 'price_team',
    },
    successUrl: 'https://app.example.com/billing',
    apiBase: 'http://127.0.0.1:9',
    ...options,
  });
}

export function hmac(bytes: Uint8Array, seconds: number | string, secret = SECRET): string {
  return createHmac('sha256', secret).update(`${seconds}.`).update(bytes).digest('hex');
}

export function headerOf(bytes: Uint8Array, at = NOW, secret = SECRET): string {
  const seconds = Math.floor(at / 1_000);
  return `t=${seconds},v1=${hmac(bytes, seconds, secret)}`;
}

export function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
}

/** Reads a payload that came with the header. */
export async function read(
  provider: StripeProvider,
  bytes: Uint8Array,
  header: string | undefined = headerOf(bytes),
  now = NOW,
): Promise<readonly ProviderEvent[]> {
  return await provider.readWebhook({
    bytes,
    header: (name) => (name.toLowerCase() === 'stripe-signature' ? header : undefined),
    now,
  });
}

export function event(parts: Readonly<Record<string, unknown>> = {}) {
  return {
    id: 'evt_1',
    object: 'event',
    api_version: '2026-10-28.endive',
    created: NOW / 1_000,
    data: { object: { id: 'sub_1', object: 'subscription', customer: 'cus_1', status: 'active' } },
    livemode: false,
    pending_webhooks: 1,
    request: null,
    type: 'customer.subscription.updated',
    ...parts,
  };
}
