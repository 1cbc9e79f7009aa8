import { createHash } from 'node:crypto';

/** An id for the store, of fixed length: the same for the same parts, and different for any others. */
export function storeId(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
