import * as z from 'zod';

/** A count on the wire: int64, but never above 2^53-1, which every JSON reader can hold. */
export const unsigned = z.int().min(0).meta({ format: 'int64' });

/** An instant on the wire: RFC 3339, in UTC. */
export const instant = z.string().meta({ format: 'date-time' });

// biome-ignore lint/suspicious/noControlCharactersInRegex: its purpose is to keep them out
const NO_CONTROL_CHARACTER = /^[^\u0000-\u001f\u007f]*$/;

/** An identifier sent by a caller: 1 to 256 characters, none of them a control character. */
export const identifier = z.string().min(1).max(256).regex(NO_CONTROL_CHARACTER);

/** Writes an epoch in ms as an instant. */
export function toInstant(at: number): string;
export function toInstant(at: number | null): string | null;
export function toInstant(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

const RFC_3339 =
  /^(\d{4}-\d{2}-\d{2})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;

/** Reads an RFC 3339 instant into epoch ms; null for anything else, including days that do not exist. */
export function fromInstant(text: string): number | null {
  const day = RFC_3339.exec(text)?.[1];
  if (day === undefined) return null;
  const midnight = new Date(`${day}T00:00:00Z`);
  // `Date` reads some days that do not exist as a later one.
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) return null;
  return Date.parse(text.toUpperCase());
}
