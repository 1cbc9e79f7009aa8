import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { windowAt } from './windows.ts';

const at = (text: string) => Date.parse(text);
const DAY_MS = 86_400_000;

describe('windowAt', () => {
  it.each([
    ['day', '2026-04-09T23:59:59.999Z', 'day:2026-04-09', '2026-04-09T00:00:00Z', '2026-04-10T00:00:00Z'],
    ['day', '2026-04-10T00:00:00.000Z', 'day:2026-04-10', '2026-04-10T00:00:00Z', '2026-04-11T00:00:00Z'],
    ['month', '2028-02-29T12:00:00Z', 'month:2028-02', '2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'],
    ['month', '2026-12-31T23:59:59.999Z', 'month:2026-12', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['week', '2026-04-09T00:00:00Z', 'week:2026-W15', '2026-04-06T00:00:00Z', '2026-04-13T00:00:00Z'],
    // ISO weeks at the turn of the year belong to the year of their Thursday.
    ['week', '2027-01-03T23:59:59Z', 'week:2026-W53', '2026-12-28T00:00:00Z', '2027-01-04T00:00:00Z'],
    ['week', '2024-12-30T00:00:00Z', 'week:2025-W01', '2024-12-30T00:00:00Z', '2025-01-06T00:00:00Z'],
    ['week', '2021-01-01T00:00:00Z', 'week:2020-W53', '2020-12-28T00:00:00Z', '2021-01-04T00:00:00Z'],
  ] as const)('puts %s at %s into %s', (period, now, label, start, end) => {
    expect(windowAt(period, at(now))).toEqual({ label, startsAt: at(start), endsAt: at(end) });
  });

  it('gives lifetime and sessions no calendar', () => {
    expect(windowAt('lifetime', 0)).toEqual({ label: 'lifetime', startsAt: null, endsAt: null });
    expect(windowAt('per_session', 0, 'abc')).toEqual({ label: 'session:abc', startsAt: null, endsAt: null });
  });

  const instants = fc.integer({ min: at('1970-01-05T00:00:00Z'), max: at('2100-01-01T00:00:00Z') });
  const calendar = fc.constantFrom('day', 'week', 'month');

  it('contains its instant, and the next window begins where it ends', () => {
    fc.assert(
      fc.property(calendar, instants, (period, now) => {
        const { label, startsAt, endsAt } = windowAt(period, now);
        if (startsAt === null || endsAt === null) throw new Error('a calendar window has both ends');
        expect(startsAt).toBeLessThanOrEqual(now);
        expect(endsAt).toBeGreaterThan(now);
        expect(windowAt(period, endsAt).startsAt).toBe(endsAt);
        expect(windowAt(period, endsAt).label).not.toBe(label);
        expect(windowAt(period, startsAt).label).toBe(label);
        expect(windowAt(period, endsAt - 1).label).toBe(label);
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives each label one interval, whatever was asked before', () => {
    fc.assert(
      fc.property(calendar, fc.array(instants, { minLength: 2, maxLength: 20 }), (period, many) => {
        const seen = new Map<string, string>();
        for (const now of many) {
          const { label, startsAt, endsAt } = windowAt(period, now);
          const interval = `${startsAt}-${endsAt}`;
          expect(seen.get(label) ?? interval).toBe(interval);
          seen.set(label, interval);
        }
        expect(new Set(seen.values()).size).toBe(seen.size);
      }),
    );
  });

  it('numbers weeks as the ISO 8601 rule of the 4th of January does', () => {
    fc.assert(
      fc.property(instants, (now) => {
        const [, year, week] = /^week:(\d{4})-W(\d{2})$/.exec(windowAt('week', now).label) ?? [];
        // Week 1 is the week with 4 January in it.
        const fourth = Date.UTC(Number(year), 0, 4);
        const mondayOfFirst = fourth - ((new Date(fourth).getUTCDay() + 6) % 7) * DAY_MS;
        expect(Math.floor((now - mondayOfFirst) / (7 * DAY_MS)) + 1).toBe(Number(week));
      }),
    );
  });
});
