import type { QuotaPeriod } from '../catalog/quota.ts';
import type { QuotaState } from '../quota/types.ts';

/** The largest integer of a structured field (RFC 9651): 15 digits. */
const LARGEST_INTEGER = 999_999_999_999_999;

/**
 * The headers that tell a guarded request about its quotas: `RateLimit-Policy` and `RateLimit` as in
 * draft-ietf-httpapi-ratelimit-headers-11 (one quoted policy a window: `"devices"`, `"door_opens:day"`), and on a denial
 * `Link rel="upgrade"` and `Retry-After`, the latter only when every denied window refills: seconds to the last one's
 * end. Unlimited quotas are left out.
 *
 * @param now - epoch ms.
 * @param upgradeLink - where the upgrade options are; null sends no `Link`.
 */
export function rateLimitHeaders(
  quotas: readonly QuotaState[],
  denied: readonly QuotaState[],
  now: number,
  upgradeLink: string | null,
): Record<string, string> {
  const headers: Record<string, string> = {};
  const policies: string[] = [];
  const limits: string[] = [];
  for (const quota of quotas) {
    const { value } = quota.limit;
    if (value === null) continue;
    const name = nameOf(quota);
    const { startsAt, endsAt } = quota.window;
    const window = startsAt === null || endsAt === null ? '' : `;w=${integer((endsAt - startsAt) / 1000)}`;
    const reset = endsAt === null ? '' : `;t=${secondsUntil(endsAt, now)}`;
    policies.push(`${name};q=${integer(value)}${window}`);
    limits.push(`${name};r=${integer(quota.remaining ?? 0)}${reset}`);
  }
  if (policies.length > 0) {
    headers['RateLimit-Policy'] = policies.join(', ');
    headers.RateLimit = limits.join(', ');
  }
  if (denied.length > 0) {
    if (upgradeLink !== null) headers.Link = `<${escapeTarget(upgradeLink)}>; rel="upgrade"`;
    const ends = denied.map((quota) => quota.window.endsAt);
    // A window that never refills, or refills to nothing, makes waiting useless, whatever the others do.
    const isWorthWaiting = denied.every((quota) => quota.limit.value !== 0);
    if (isWorthWaiting && ends.every((end) => end !== null))
      headers['Retry-After'] = String(secondsUntil(Math.max(...ends), now));
  }
  return headers;
}

/** Names are asked for by every create, and a host has few keys. */
const names = new Map<string, Map<QuotaPeriod, string>>();
const MOST_NAMED_KEYS = 1_000;

function nameOf({ key, period }: QuotaState): string {
  let ofKey = names.get(key);
  if (ofKey === undefined) {
    if (names.size >= MOST_NAMED_KEYS) names.clear();
    ofKey = new Map();
    names.set(key, ofKey);
  }
  let name = ofKey.get(period);
  if (name === undefined) {
    name = quoted(period === 'lifetime' ? key : `${key}:${period}`);
    ofKey.set(period, name);
  }
  return name;
}

/** A structured-field string: what it cannot hold is dropped, what it must escape is escaped. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`;
}

function integer(value: number): number {
  return Math.min(Math.max(0, Math.floor(value)), LARGEST_INTEGER);
}

function secondsUntil(instant: number, now: number): number {
  return integer(Math.max(1, Math.ceil((instant - now) / 1000)));
}

/** Keeps a link target from ending its own angle brackets. */
function escapeTarget(target: string): string {
  return target.replace(/[^\x21-\x7e]|[<>"\\^`{|}]/g, (character) => encodeURIComponent(character));
}
