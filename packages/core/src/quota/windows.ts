import type { QuotaPeriod } from '../catalog/quota.ts';
import type { QuotaWindow } from './types.ts';

const DAY_MS = 86_400_000;

/** Labels are only recomputed when the day changes. */
const cache = new Map<QuotaPeriod, { readonly day: number; readonly window: QuotaWindow }>();

const LIFETIME: QuotaWindow = { label: 'lifetime', startsAt: null, endsAt: null };

/**
 * The window of a period that an instant falls in, on UTC calendar boundaries; weeks are ISO 8601 weeks.
 *
 * @param now - epoch ms.
 * @param session - the session's id, for `per_session`; `*` stands for any session.
 */
export function windowAt(period: QuotaPeriod, now: number, session = '*'): QuotaWindow {
  if (period === 'lifetime') return LIFETIME;
  if (period === 'per_session') return { label: `session:${session}`, startsAt: null, endsAt: null };
  const day = Math.floor(now / DAY_MS);
  const known = cache.get(period);
  if (known?.day === day) return known.window;
  const window = calendarWindow(period, day * DAY_MS);
  cache.set(period, { day, window });
  return window;
}

function calendarWindow(period: 'day' | 'week' | 'month', midnight: number): QuotaWindow {
  const date = new Date(midnight);
  if (period === 'day') {
    return { label: `day:${date.toISOString().slice(0, 10)}`, startsAt: midnight, endsAt: midnight + DAY_MS };
  }
  if (period === 'month') {
    return {
      label: `month:${date.toISOString().slice(0, 7)}`,
      startsAt: Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1),
      endsAt: Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1),
    };
  }
  // An ISO week belongs to the year of its Thursday and is numbered from that year's first Thursday.
  const monday = midnight - ((date.getUTCDay() + 6) % 7) * DAY_MS;
  const thursday = new Date(monday + 3 * DAY_MS);
  const year = thursday.getUTCFullYear();
  const number = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS));
  return {
    label: `week:${year}-W${String(number).padStart(2, '0')}`,
    startsAt: monday,
    endsAt: monday + 7 * DAY_MS,
  };
}
