import { randomBytes } from 'node:crypto';

/** So many share one random start: the count has four digits at most. */
const MOST_PER_START = 36 ** 4;

/**
 * Makes ids that only their handles know, and that nobody else makes: a random start (48 bits), then a count. Of 12 characters at most,
 * since every create sends its id twice, and text that short is in one piece where V8 would put longer text together again and again.
 */
export function createReservationIds(): () => string {
  let start = '';
  let made = 0;
  return () => {
    if (made % MOST_PER_START === 0) start = randomBytes(6).toString('base64url');
    return start + (made++ % MOST_PER_START).toString(36);
  };
}
