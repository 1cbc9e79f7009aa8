import type { RawResponse } from '@tollgate/testing';

/** Headers that belong to the connection or to the framework's own signature, not to the answer. */
const NOT_OURS = new Set(['date', 'connection', 'keep-alive', 'x-powered-by', 'transfer-encoding']);

/** What the sandbox draws anew for each portal visit. */
const PORTAL_ID = /\bps_sandbox_[\w-]+/g;

const ULID = /\b[0-9A-HJKMNP-TV-Z]{26}\b/;

/**
 * An answer as two frameworks must give it alike (A3): status, body and every header that is ours. A request id the server made
 * up is named as such, since each answer has its own.
 */
export function comparable(response: RawResponse): string {
  const id = response.headers.get('x-request-id');
  const lines = [...response.headers]
    .filter(([name]) => !NOT_OURS.has(name))
    .map(([name, value]) => `${name}: ${value}`);
  const whole = [String(response.status), ...lines.sort(), '', response.body]
    .join('\n')
    .replace(PORTAL_ID, 'ps_sandbox_<fresh>');
  return id !== undefined && ULID.test(id) ? whole.replaceAll(id, '<fresh>') : whole;
}
