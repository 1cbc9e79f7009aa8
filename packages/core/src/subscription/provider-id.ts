import { TollgateError } from '../errors/tollgate-error.ts';
import { isStorableText } from '../storable-text.ts';

/** An id of the provider's. @throws TollgateError `invalid_request` if it cannot be one */
export function checkProviderId(id: unknown): string {
  if (typeof id === 'string' && id !== '' && isStorableText(id)) return id;
  throw new TollgateError('invalid_request', { message: 'This is no id of the payment provider.' });
}
