import { TollgateError } from '@tollgate/core';

const INT8 = 20;
const JSON_TEXT = 114;
const TIMESTAMPTZ = 1184;
const JSONB = 3802;

function toWholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${text} is past 2^53-1`);
  return number;
}

/** Parses `2026-04-09 12:00:00.123+00` to epoch ms. Every transaction sets UTC and DateStyle ISO. */
function toInstant(text: string): number {
  const [year = '', rest = ''] = text.split(/-(.*)/s);
  const iso = `${year.length > 4 ? `+${year.padStart(6, '0')}` : year}-${rest.replace(' ', 'T').replace(/\+00(:00)?$/, 'Z')}`;
  const instant = Date.parse(iso);
  if (Number.isNaN(instant)) throw new RangeError(`${text} is no instant`);
  return instant;
}

/** Parsers by type OID. They are the same for every driver, whatever parsers the host gave its own. */
export const SQL_PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === 't' || text === 'true',
  [INT8]: toWholeNumber,
  21: Number,
  23: Number,
  701: Number,
  [JSON_TEXT]: JSON.parse,
  [TIMESTAMPTZ]: toInstant,
  [JSONB]: JSON.parse,
};

/** An instant (epoch ms) as a `timestamptz` parameter. */
export function toSqlInstant(instant: number): string;
export function toSqlInstant(instant: number | null): string | null;
export function toSqlInstant(instant: number | null): string | null {
  if (instant === null) return null;
  const iso = new Date(instant).toISOString();
  return iso.startsWith('+') ? iso.replace(/^\+0*/, '') : iso;
}

/**
 * Refuses text that Postgres cannot hold or would store as other text: a NUL, or half of a surrogate pair.
 * @throws TollgateError `invalid_request`
 */
export function checkStorable(values: readonly unknown[]): void {
  for (const value of values) {
    if (typeof value === 'string' && /\0|\p{Surrogate}/u.test(value)) {
      throw new TollgateError('invalid_request', {
        message: 'The text has a character that cannot be stored.',
      });
    }
  }
}
