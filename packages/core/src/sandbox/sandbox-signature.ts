import { createHmac, timingSafeEqual } from 'node:crypto';
import { TollgateError } from '../errors/tollgate-error.ts';

export const SANDBOX_SIGNATURE_HEADER = 'sandbox-signature';

const TOLERANCE_MS = 300_000;
const MAX_HEADER_LENGTH = 4_096;
const MAX_SIGNATURES = 16;

/** The `sandbox-signature` header of a payload sent at an instant (epoch ms): `t=<seconds>,v1=<hex HMAC-SHA256 of t.payload>`. */
export function signSandboxPayload(secret: string, bytes: Uint8Array, at: number): string {
  const seconds = String(Math.floor(at / 1_000));
  return `t=${seconds},v1=${digest(secret, seconds, bytes).toString('hex')}`;
}

/**
 * Checks a payload's signature: one `t` within 300 s of now, before or after, and at most 16 `v1`, one of which matches.
 *
 * @throws TollgateError `invalid_signature`, the same for every fault.
 */
export function verifySandboxSignature(request: {
  readonly secret: string;
  readonly bytes: Uint8Array;
  readonly header: string | undefined;
  readonly now: number;
}): void {
  const { secret, bytes, header, now } = request;
  const parsed = typeof header === 'string' ? parseHeader(header) : null;
  if (parsed === null || !(Math.abs(now - Number(parsed.seconds) * 1_000) <= TOLERANCE_MS))
    throw new TollgateError('invalid_signature');
  const expected = digest(secret, parsed.seconds, bytes);
  let matches = false;
  for (const signature of parsed.signatures) {
    if (timingSafeEqual(expected, Buffer.from(signature, 'hex'))) matches = true;
  }
  if (!matches) throw new TollgateError('invalid_signature');
}

function digest(secret: string, seconds: string, bytes: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(`${seconds}.`).update(bytes).digest();
}

function parseHeader(
  header: string,
): { readonly seconds: string; readonly signatures: readonly string[] } | null {
  if (header.length > MAX_HEADER_LENGTH) return null;
  let seconds: string | null = null;
  const signatures: string[] = [];
  for (const part of header.split(',')) {
    const equals = part.indexOf('=');
    const name = part.slice(0, Math.max(equals, 0));
    const value = part.slice(equals + 1);
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
