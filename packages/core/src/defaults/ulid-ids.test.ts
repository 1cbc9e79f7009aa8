import { describe, expect, it } from 'vitest';
import { ulidIds } from './ulid-ids.ts';

describe('ulidIds', () => {
  it('makes 26 characters of Crockford base 32 that begin with the time', () => {
    const ids = ulidIds({ clock: { now: () => 1_469_918_176_385 } });
    expect(ids.next()).toMatch(/^01ARYZ6S41[0-9A-HJKMNP-TV-Z]{16}$/);
  });

  it('sorts in the order they were made, in one millisecond and when the clock steps back', () => {
    let now = 1_000_000;
    const ids = ulidIds({ clock: { now: () => now } });
    const made = Array.from({ length: 20_000 }, (_, index) => {
      if (index % 100 === 0) now += index % 300 === 0 ? -50 : 1;
      return ids.next();
    });
    expect(made).toEqual(made.toSorted());
    expect(new Set(made).size).toBe(made.length);
  });

  it('does not tell the next id by the last one', () => {
    const ids = ulidIds({ clock: { now: () => 5 } });
    const tails = Array.from({ length: 200 }, () => Number.parseInt(ids.next().slice(-6), 32));
    const steps = tails.slice(1).map((tail, index) => tail - (tails[index] ?? 0));
    // A counter would have one step; so few equal ones among random steps is beyond chance.
    expect(new Set(steps).size).toBeGreaterThan(100);
  });
});
