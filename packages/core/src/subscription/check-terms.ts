import { TollgateError } from '../errors/tollgate-error.ts';
import type { Terms } from '../ports/payment-provider.ts';

const MAX_QUANTITY = 999_999;

/**
 * The terms in the form that the provider takes, without those that were left out.
 *
 * @throws TollgateError `invalid_request` for an interval that is neither month nor year, or a quantity that is not a whole number
 * from 1 to 999999.
 */
export function checkTerms(given: {
  readonly interval: Terms['interval'] | undefined;
  readonly quantity: Terms['quantity'] | undefined;
}): Terms {
  const { interval, quantity } = given;
  if (interval !== undefined && interval !== 'month' && interval !== 'year')
    throw new TollgateError('invalid_request', { message: 'The interval must be month or year.' });
  if (quantity !== undefined && !(Number.isInteger(quantity) && quantity >= 1 && quantity <= MAX_QUANTITY))
    throw new TollgateError('invalid_request', {
      message: `The quantity must be a whole number from 1 to ${MAX_QUANTITY}.`,
    });
  return { ...(interval === undefined ? {} : { interval }), ...(quantity === undefined ? {} : { quantity }) };
}
