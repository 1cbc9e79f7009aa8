import { createHmac } from 'node:crypto';

/**
 * The `stripe-signature` header of a payload, as Stripe computes it: HMAC-SHA256 of `t.payload`, one `v1` per secret.
 *
 * @param at - when it is sent, epoch ms
 */
export function signStripeWebhook(secrets: readonly string[], bytes: Uint8Array, at: number): string {
  const seconds = String(Math.floor(at / 1_000));
  const signatures = secrets.map((secret) => {
    const digest = createHmac('sha256', secret).update(`${seconds}.`).update(bytes).digest('hex');
    return `v1=${digest}`;
  });
  return [`t=${seconds}`, ...signatures].join(',');
}
