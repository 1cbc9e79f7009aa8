import type { ServerResponse } from 'node:http';
import type { QuotaPeriod } from '../catalog/quota.ts';
import type { QuotaState } from '../quota/types.ts';

/** The largest integer of a structured field (RFC 9651): 15 digits. */
const LARGEST_INTEGER = 999_999_999_999_999;

/**
 * The headers that describe a guarded request's quotas: `RateLimit-Policy` and `RateLimit` as in
 * draft-ietf-httpapi-ratelimit-headers-11 (one quoted policy per window: `"devices"`, `"door_opens:day"`). On a denial also
 * `Link rel="upgrade"`, and `Retry-After` only if every denied window refills: the seconds to the last one's end.
 * Unlimited quotas are left out.
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
    // If one window never refills, or has a limit of 0, waiting is useless whatever the others do.
    const isWorthWaiting = denied.every((quota) => quota.limit.value !== 0);
    if (isWorthWaiting && ends.every((end) => end !== null))
      headers['Retry-After'] = String(secondsUntil(Math.max(...ends), now));
  }
  return headers;
}

/**
 * Sets the headers of an admitted create, from {@link rateLimitHeaders}, on Node's response. Each is set by name, since enumerating an
 * object would cost every create more. The method is looked up once, since each lookup on an Express response is expensive.
 */
export function setRateLimitHeaders(
  response: Pick<ServerResponse, 'setHeader'>,
  headers: Readonly<Record<string, string>>,
): void {
  const { 'RateLimit-Policy': policies, RateLimit: limits } = headers;
  if (policies === undefined || limits === undefined) return;
  const { setHeader } = response;
  setHeader.call(response, 'RateLimit-Policy', policies);
  setHeader.call(response, 'RateLimit', limits);
}

/** The parts of a quota's headers that do not depend on how many units are left. */
interface FixedParts {
  readonly key: string;
  readonly period: QuotaPeriod;
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

/** The most recent ones, searched in order. Every create needs some, but an app has few, and they change at most once a second. */
const recentParts: FixedParts[] = [];
const MAX_PARTS = 32;
let oldest = 0;

function fixedParts({ key, period, window }: QuotaState, value: number, now: number): FixedParts {
  const { startsAt, endsAt } = window;
  const seconds = endsAt === null ? 0 : secondsUntil(endsAt, now);
  for (const known of recentParts) {
    if (
      known.key === key &&
      known.period === period &&
      known.value === value &&
      known.seconds === seconds &&
      known.startsAt === startsAt &&
      known.endsAt === endsAt
    ) {
      return known;
    }
  }
  const name = quoted(period === 'lifetime' ? key : `${key}:${period}`);
  const width = startsAt === null || endsAt === null ? '' : `;w=${integer((endsAt - startsAt) / 1000)}`;
  const made = {
    key,
    period,
    value,
    startsAt,
    endsAt,
    seconds,
    policy: `${name};q=${integer(value)}${width}`,
    start: `${name};r=`,
    reset: endsAt === null ? '' : `;t=${seconds}`,
  };
  recentParts[oldest] = made;
  oldest = (oldest + 1) % MAX_PARTS;
  return made;
}

/** A structured-field string: characters that it cannot hold are dropped, quotes and backslashes escaped. */
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
