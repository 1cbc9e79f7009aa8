/** The last instant that RFC 3339 can express: its years have four digits. */
const LAST_INSTANT = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Whether every repository can store the value as an instant, and RFC 3339 can express it: whole epoch ms from 1970 to the year 9999. */
export function isStorableInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= LAST_INSTANT;
}
