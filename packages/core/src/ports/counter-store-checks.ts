import { TollgateError } from '../errors/tollgate-error.ts';
import type { Adjustment, Charge, CounterStore, Reservation } from './counter-store.ts';

const RESERVATION_ID = /^[\x20-\x7e]{1,128}$/;

/**
 * Checks what every counter store must refuse to take, so that no store ever holds a broken number.
 * @throws TollgateError `invalid_amount`, `invalid_limit` or `invalid_request`
 */
export function checkReserve(request: Parameters<CounterStore['reserve']>[0]): void {
  checkReservation(request);
  for (const { limit } of request.charges) {
    if (limit !== null && !isWhole(limit, 0)) throw new TollgateError('invalid_limit');
  }
  checkDuration(request.leaseMs, 1);
  checkDuration(request.maxHeld, 0);
}

/** Checks a settle: the reservation, and amounts from 0 to the charge's own, one a charge. @throws as {@link checkReserve} */
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

/** Checks amounts of adjustments. @throws as {@link checkReserve} */
export function checkAdjustments(adjustments: readonly Adjustment[]): void {
  for (const { amount } of adjustments) {
    if (!isWhole(amount, 1)) throw new TollgateError('invalid_amount');
  }
}

/** Checks what a host counted: whole numbers, 0 or more. @throws as {@link checkReserve} */
export function checkCounts(counts: readonly { readonly count: number }[]): void {
  for (const { count } of counts) {
    if (!isWhole(count, 0)) throw new TollgateError('invalid_amount');
  }
}

function checkReservation({ id, charges, rememberMs }: Reservation): void {
  if (!RESERVATION_ID.test(id))
    throw new TollgateError('invalid_request', { message: 'The reservation id is not valid.' });
  if (charges.length === 0 || hasDoubles(charges)) {
    throw new TollgateError('invalid_request', {
      message: 'A reservation charges at least one counter, and none twice.',
    });
  }
  for (const { amount } of charges) {
    if (!isWhole(amount, 1)) throw new TollgateError('invalid_amount');
  }
  checkDuration(rememberMs, 0);
}

/** Whether two charges are of one counter. */
function hasDoubles(charges: readonly Charge[]): boolean {
  for (let i = 1; i < charges.length; i++) {
    for (let j = 0; j < i; j++) {
      if (charges[i]?.key === charges[j]?.key && charges[i]?.window === charges[j]?.window) return true;
    }
  }
  return false;
}

function checkDuration(value: number, least: number): void {
  if (!isWhole(value, least)) throw new TollgateError('invalid_request');
}

function isWhole(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least;
}
