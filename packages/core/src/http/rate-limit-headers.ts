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
  let policies = '';
  let limits = '';
  for (const quota of quotas) {
    const { value } = quota.limit;
    if (value === null) continue;
    const { policy, start, reset } = fixedParts(quota, value, now);
    const left = `${start}${integer(quota.remaining ?? 0)}${reset}`;
    policies = policies === '' ? policy : `${policies}, ${policy}`;
    limits = limits === '' ? left : `${limits}, ${left}`;
  }
  const headers: Record<string, string> =
    policies === '' ? {} : { 'RateLimit-Policy': policies, RateLimit: limits };
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

/** What the headers say of a quota besides the units that are left. */
interface FixedParts {
  readonly name: string;
  readonly value: number;
  readonly startsAt: number | null;
  readonly endsAt: number | null;
  readonly seconds: number;
  /** `"key:day";q=20;w=86400` */
  readonly policy: string;
  /** `"key:day";r=` */
  readonly start: string;
  /** `;t=43200`; empty for a window that does not end. */
  readonly reset: string;
}

/** The parts told last of each key and period: every create asks for them, and they change but once a second. */
const parts = new Map<string, Map<QuotaPeriod, FixedParts>>();
const MOST_KEYS = 1_000;

function fixedParts({ key, period, window }: QuotaState, value: number, now: number): FixedParts {
  let ofKey = parts.get(key);
  if (ofKey === undefined) {
    if (parts.size >= MOST_KEYS) parts.clear();
    ofKey = new Map();
    parts.set(key, ofKey);
  }
  const { startsAt, endsAt } = window;
  const seconds = endsAt === null ? 0 : secondsUntil(endsAt, now);
  const last = ofKey.get(period);
  if (
    last !== undefined &&
    last.seconds === seconds &&
    last.value === value &&
    last.startsAt === startsAt &&
    last.endsAt === endsAt
  ) {
    return last;
  }
  const name = last?.name ?? quoted(period === 'lifetime' ? key : `${key}:${period}`);
  const width = startsAt === null || endsAt === null ? '' : `;w=${integer((endsAt - startsAt) / 1000)}`;
  const made = {
    name,
    value,
    startsAt,
    endsAt,
    seconds,
    policy: `${name};q=${integer(value)}${width}`,
    start: `${name};r=`,
    reset: endsAt === null ? '' : `;t=${seconds}`,
  };
  ofKey.set(period, made);
  return made;
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
