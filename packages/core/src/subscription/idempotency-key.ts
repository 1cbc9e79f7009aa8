import { createHash } from 'node:crypto';

/** An idempotency key for the provider: the same for the same parts, and different for any others. At most 57 characters. */
export function idempotencyKey(
  action: 'customer' | 'checkout' | 'change' | 'cancel',
  ...parts: readonly string[]
): string {
  return `tollgate-${action}-${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40)}`;
}
