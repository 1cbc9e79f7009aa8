import type { PriceObject } from './objects.ts';

const DAY_S = 86_400;

/**
 * The end of the period that is `count` periods after the anchor, epoch seconds, UTC. In a month without the anchor's day it
 * falls on the last day, and returns to the anchor's day in the next month that has it.
 */
export function periodEnd(anchor: number, count: number, recurring: PriceObject['recurring']): number {
  const steps = count * recurring.interval_count;
  if (recurring.interval === 'day') return anchor + steps * DAY_S;
  if (recurring.interval === 'week') return anchor + steps * 7 * DAY_S;
  const months = recurring.interval === 'year' ? steps * 12 : steps;
  const start = new Date(anchor * 1_000);
  const first = Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + months, 1);
  const last = new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + months + 1, 0)).getUTCDate();
  const day = Math.min(start.getUTCDate(), last);
  return first / 1_000 + (day - 1) * DAY_S + (anchor % DAY_S);
}

/** The first period end after an instant. */
export function nextPeriodEnd(anchor: number, after: number, recurring: PriceObject['recurring']): number {
  for (let count = 1; ; count += 1) {
    const end = periodEnd(anchor, count, recurring);
    if (end > after) return end;
  }
}
