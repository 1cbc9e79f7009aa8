import { TollgateError } from '../errors/tollgate-error.ts';
import { isStorableText } from '../storable-text.ts';
import type { Charge, CounterStore, OnUnknown, Reservation } from './counter-store.ts';

const ID = /^[\x20-\x7e]{1,128}$/;
const FATES: readonly OnUnknown[] = ['uncertain', 'release', 'commit'];

/**
 * Checks what every counter store must refuse, so that no store ever holds an invalid number.
 * @throws TollgateError `invalid_amount`, `invalid_limit` or `invalid_request`
 */
export function checkReserve(request: Parameters<CounterStore['reserve']>[0]): void {
  checkReservation(request);
  checkDuration(request.leaseMs, 1);
  checkDuration(request.maxHeld, 0);
}

/** Checks a settle: the reservation, and one amount per charge, from 0 to the charge's own. @throws as {@link checkReserve} */
export function checkSettle(request: Parameters<CounterStore['settle']>[0]): void {
  checkReservation(request);
  const { amounts, charges } = request;
  if (amounts === undefined) return;
  if (amounts.length !== charges.length) throw new TollgateError('invalid_amount');
  for (const [index, charge] of charges.entries()) {
    if (!isWhole(amounts[index], 0) || Number(amounts[index]) > charge.amount)
      throw new TollgateError('invalid_amount');
  }
}

/** The longest that an id may be remembered, ms: 30 days. */
export const MOST_REMEMBER_MS = 30 * 86_400_000;

/** Checks the leases of a renewal and their duration. @throws as {@link checkReserve} */
export function checkRenew({ leases, leaseMs }: Parameters<CounterStore['renew']>[0]): void {
  checkDuration(leaseMs, 1);
  for (const { id } of leases) checkId(id);
}

/** Checks the amounts of adjustments, their id, and how long it is remembered. @throws as {@link checkReserve} */
export function checkAdjust({
  adjustments,
  id,
  rememberMs = 0,
}: Parameters<CounterStore['adjust']>[0]): void {
  if (id !== undefined) checkId(id);
  checkDuration(rememberMs, 0, MOST_REMEMBER_MS);
  for (const { amount, forgetAt } of adjustments) {
    if (!isWhole(amount, 1)) throw new TollgateError('invalid_amount');
    checkForgetAt(forgetAt);
  }
}

/** Checks counts of the host: whole numbers, 0 or more. @throws as {@link checkReserve} */
export function checkCounts({ counts }: Parameters<CounterStore['finishRecount']>[0]): void {
  for (const { count, forgetAt } of counts) {
    if (!isWhole(count, 0)) throw new TollgateError('invalid_amount');
    checkForgetAt(forgetAt);
  }
}

/** Checks the parts of a reservation. @throws as {@link checkReserve} */
export function checkReservation({ org, id, charges, rememberMs }: Reservation): void {
  if (typeof org !== 'string' || org === '')
    throw new TollgateError('invalid_request', { message: 'The org is none.' });
  checkId(id);
  checkDuration(rememberMs, 0, MOST_REMEMBER_MS);
  if (charges !== unchanging) checkCharges(charges);
}

/** The frozen charges checked last: an engine passes the same ones again and again. */
let unchanging: readonly Charge[] = [];

function checkCharges(charges: readonly Charge[]): void {
  if (!Array.isArray(charges) || charges.length === 0 || !charges.every(isCharge) || hasDoubles(charges)) {
    throw new TollgateError('invalid_request', {
      message: 'A reservation charges at least one counter, and none twice.',
    });
  }
  for (const { amount, limit, forgetAt } of charges) {
    if (!isWhole(amount, 1)) throw new TollgateError('invalid_amount');
    if (limit !== null && !isWhole(limit, 0)) throw new TollgateError('invalid_limit');
    checkForgetAt(forgetAt);
  }
  if (Object.isFrozen(charges) && charges.every(Object.isFrozen)) unchanging = charges;
}

/** A record may come from anywhere: a charge without a counter would stay a debt for ever. */
function isCharge(charge: Charge | null | undefined): boolean {
  return charge != null && isText(charge.key) && isText(charge.window) && FATES.includes(charge.onUnknown);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && isStorableText(value);
}

/** Whether two charges are for the same counter. */
function hasDoubles(charges: readonly Charge[]): boolean {
  for (let i = 1; i < charges.length; i++) {
    for (let j = 0; j < i; j++) {
      if (charges[i]?.key === charges[j]?.key && charges[i]?.window === charges[j]?.window) return true;
    }
  }
  return false;
}

function checkId(id: string): void {
  // The pattern alone would match a missing id as the string "undefined".
  if (typeof id !== 'string' || !ID.test(id))
    throw new TollgateError('invalid_request', { message: 'The id is not valid.' });
}

function checkDuration(value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (!isWhole(value, least) || value > most) throw new TollgateError('invalid_request');
}

/** An instant, epoch ms; null for never. */
function checkForgetAt(value: number | null): void {
  if (value !== null && !isWhole(value, 0)) throw new TollgateError('invalid_request');
}

function isWhole(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least;
}
