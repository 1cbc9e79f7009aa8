import { TollgateError } from '@tollgate/core';

/** The error of a store that cannot answer: whether the operation was done is unknown, but it is done at most once. */
export function unavailable(cause: unknown): TollgateError {
  return new TollgateError('quota_unavailable', { cause, retryAfterSeconds: 1 });
}
