import { randomBytes } from 'node:crypto';

/** How many ids share one random prefix: the counter has at most four digits. */
const IDS_PER_START = 36 ** 4;

/**
 * Creates ids that only their handles know and that nobody else generates: a random prefix (48 bits), then a counter. At most 12
 * characters, since every create sends its id twice, and V8 stores so short a string flat, where it would flatten a longer one each time.
 */
export function createReservationIds(): () => string {
  let start = '';
  let made = 0;
  return () => {
    if (made % IDS_PER_START === 0) start = randomBytes(6).toString('base64url');
    return start + (made++ % IDS_PER_START).toString(36);
  };
}
