import { TollgateError } from '@tollgate/core';

const MAX_TEXT = 255;
/** The last second that a `Date` can hold. */
const LAST_SECOND = 8.64e12;

/** An own property of an object; undefined for an inherited one and for a value that is no object. */
export function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

/** A non-empty, short text; else null. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_TEXT ? value : null;
}

/** The id of an object that is given by its id or expanded; else null. */
export function idOf(value: unknown): string | null {
  return textOf(value) ?? textOf(own(value, 'id'));
}

/** Epoch seconds, from 1970 to the last that a `Date` can hold, as epoch ms; else null. */
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

/** @throws TollgateError `provider_error` for null: Stripe's answer lacks what it should always have */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined)
    throw new TollgateError('provider_error', { cause: new Error(`Stripe's answer has no usable ${what}.`) });
  return value;
}
