import { TollgateError } from '@tollgate/core';

/** The one error of a store that cannot answer: nothing is known about what was asked, but it happens at most once. */
export function unavailable(cause: unknown): TollgateError {
  return new TollgateError('quota_unavailable', { cause, retryAfterSeconds: 1 });
}
