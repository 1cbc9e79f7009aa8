import { TollgateError } from '@tollgate/core';

const MAX_TEXT = 255;
/** Of what a `Date` can tell. */
const LAST_SECOND = 8.64e12;

/** A property of the object's own; undefined for anything inherited and for a value that is no object. */
export function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

/** A short text, else null. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_TEXT ? value : null;
}

/** The id of a thing that is given by its id or whole; else null. */
export function idOf(value: unknown): string | null {
  return textOf(value) ?? textOf(own(value, 'id'));
}

/** Epoch seconds from 1970 to the last that a calendar has, as epoch ms; else null. */
export function instantOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= LAST_SECOND
    ? value * 1_000
    : null;
}

/** The items of a list object or of an array; none for anything else. */
export function itemsOf(value: unknown): readonly unknown[] {
  const list = Array.isArray(value) ? value : own(value, 'data');
  return Array.isArray(list) ? list : [];
}

/** @throws TollgateError `provider_error` for null: Stripe's answer lacks what it always has. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined)
    throw new TollgateError('provider_error', { cause: new Error(`Stripe's answer has no usable ${what}.`) });
  return value;
}
