import { createHmac, timingSafeEqual } from 'node:crypto';
import { TollgateError } from '@tollgate/core';

export const SIGNATURE_HEADER = 'stripe-signature';

const TOLERANCE_S = 300;
const MAX_HEADER_LENGTH = 4_096;
const MAX_SIGNATURES = 16;

/**
 * Checks that the raw bytes were signed with one of the secrets: one `t` within 300 s of now either way, and at most 16 `v1`, each
 * 64 lower-case hex digits, of which one matches.
 *
 * @throws TollgateError `invalid_signature`, the same for every fault.
 */
export function verifySignature(request: {
  readonly secrets: readonly string[];
  readonly bytes: Uint8Array;
  readonly header: string | undefined;
  /** Epoch ms. */
  readonly now: number;
}): void {
  const { secrets, bytes, header, now } = request;
  const parsed = typeof header === 'string' ? parseHeader(header) : null;
  if (parsed === null) throw new TollgateError('invalid_signature');
  const age = Math.floor(now / 1_000) - Number(parsed.seconds);
  if (!(Math.abs(age) <= TOLERANCE_S)) throw new TollgateError('invalid_signature');
  let matches = false;
  for (const secret of secrets) {
    const expected = createHmac('sha256', secret).update(`${parsed.seconds}.`).update(bytes).digest();
    // Every pair is compared, so that the timing does not tell which secret or signature was close.
    for (const signature of parsed.signatures) {
      if (timingSafeEqual(expected, Buffer.from(signature, 'hex'))) matches = true;
    }
  }
  if (!matches) throw new TollgateError('invalid_signature');
}

function parseHeader(
  header: string,
): { readonly seconds: string; readonly signatures: readonly string[] } | null {
  if (header.length > MAX_HEADER_LENGTH) return null;
  let seconds: string | null = null;
  const signatures: string[] = [];
  for (const part of header.split(',')) {
    const equals = part.indexOf('=');
    const name = equals === -1 ? part : part.slice(0, equals);
    const value = equals === -1 ? '' : part.slice(equals + 1);
    if (name === 't') {
      if (seconds !== null || !/^\d{1,12}$/.test(value)) return null;
      seconds = value;
    } else if (name === 'v1') {
      if (!/^[0-9a-f]{64}$/.test(value)) return null;
      signatures.push(value);
    }
  }
  if (seconds === null || signatures.length === 0 || signatures.length > MAX_SIGNATURES) return null;
  return { seconds, signatures };
}
