import { TollgateError } from '../errors/tollgate-error.ts';

/** All callers that pass an empty key, or none, would share it. @throws TollgateError `invalid_request` */
export function checkIdempotencyKey(key: unknown): void {
  if (typeof key === 'string' && key !== '' && key.length <= 255) return;
  throw new TollgateError('invalid_request', {
    message: 'The idempotency key must be 1 to 255 characters.',
  });
}
