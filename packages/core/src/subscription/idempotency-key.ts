import { createHash } from 'node:crypto';

/** A key for the provider that is the same for the same parts and differs for any others; 57 characters at most. */
export function idempotencyKey(
  action: 'customer' | 'checkout' | 'change' | 'cancel',
  ...parts: readonly string[]
): string {
  return `tollgate-${action}-${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40)}`;
}
