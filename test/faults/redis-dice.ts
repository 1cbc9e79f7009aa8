import { waitUntil } from '../support/services.ts';

export interface Dice {
  /** From 0 to 1. */
  next(): number;
  /** Resolves after some steps of so many ms, 20 of them on average. */
  chance(everyMs: number): Promise<void>;
}

/** Numbers that are the same in every run (mulberry32). */
export function dice(seed: number): Dice {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    async chance(everyMs) {
      await waitUntil('the dice say so', () => next() < 0.05, { everyMs });
    },
  };
}
