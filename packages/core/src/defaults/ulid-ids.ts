import { randomFillSync } from 'node:crypto';
import type { Clock, Ids } from '../ports/clock.ts';
import { systemClock } from './system-clock.ts';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_LENGTH = 10;
const RANDOM_LENGTH = 16;
/** Random bytes are drawn for this many ids at once: a draw per id would cost more than everything else. */
const POOL_IDS = 128;

/**
 * Generates ULIDs from the system's cryptographic randomness. Ids of one generator sort in the order of their creation, even within
 * a millisecond, and if the clock steps back.
 */
export function ulidIds(options: { readonly clock?: Clock } = {}): Ids {
  const { clock = systemClock } = options;
  const pool = Buffer.alloc(POOL_IDS * RANDOM_LENGTH);
  let drawn = pool.length;
  let lastTime = -1;
  let time = '';
  let random: number[] = [];

  function drawRandom(): number[] {
    if (drawn === pool.length) {
      randomFillSync(pool);
      drawn = 0;
    }
    const bytes = pool.subarray(drawn, drawn + RANDOM_LENGTH);
    drawn += RANDOM_LENGTH;
    return Array.from(bytes, (byte) => byte & 31);
  }

  /** Adds a random step rather than 1, so that an id does not reveal the next one. Returns false if the digits overflow. */
  function stepOn(): boolean {
    const step = drawRandom();
    let carry = 1;
    for (let index = RANDOM_LENGTH - 1; index >= 0; index -= 1) {
      // The step leaves the upper third unchanged, which puts an overflow within one millisecond out of reach.
      const sum = (random[index] ?? 0) + (index > 5 ? (step[index] ?? 0) : 0) + carry;
      random[index] = sum & 31;
      carry = sum >> 5;
    }
    return carry === 0;
  }

  return {
    next() {
      const now = Math.max(0, Math.floor(clock.now()));
      if (now > lastTime) {
        lastTime = now;
        time = encodeTime(now);
        random = drawRandom();
      } else if (!stepOn()) {
        lastTime += 1;
        time = encodeTime(lastTime);
        random = drawRandom();
      }
      let id = time;
      for (const digit of random) id += ALPHABET.charAt(digit);
      return id;
    },
  };
}

function encodeTime(at: number): string {
  let rest = at;
  let text = '';
  for (let digit = 0; digit < TIME_LENGTH; digit += 1) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
