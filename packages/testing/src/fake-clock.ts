import type { Clock } from '@tollgate/core';

/** A clock that moves only when told to. */
export interface FakeClock extends Clock {
  /** Advances the time by `ms`; a negative number moves it back. */
  advance(ms: number): void;
  /** Sets the time, epoch ms. */
  set(at: number): void;
}

/** @default startsAt 2026-04-09T12:00:00Z */
export function fakeClock(startsAt: number = Date.UTC(2026, 3, 9, 12)): FakeClock {
  let at = startsAt;
  return {
    now: () => at,
    advance(ms) {
      at += ms;
    },
    set(next) {
      at = next;
    },
  };
}
