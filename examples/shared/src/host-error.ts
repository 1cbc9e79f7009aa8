import { errorReply, type HttpReply, TollgateError, ulidIds } from '@tollgate/core';

const ids = ulidIds();
const SANE_TOKEN = /^[A-Za-z0-9._:-]{1,128}$/;

/** The response to an error in the example's own routes, in the shape the billing routes use, so that the whole API fails alike. */
export function hostError(error: unknown, header: (name: string) => string | undefined): HttpReply {
  const wanted = header('x-correlation-id');
  const requestId = wanted !== undefined && SANE_TOKEN.test(wanted) ? wanted : ids.next();
  const known = error instanceof TollgateError ? error : fromParser(error);
  if (known === null) console.error('the example failed', requestId, error);
  return errorReply(known ?? error, requestId);
}

/** Body parsers of both frameworks throw errors with a `status`. */
function fromParser(error: unknown): TollgateError | null {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  if (status === 413) return new TollgateError('body_too_large', { cause: error });
  if (status === 415) return new TollgateError('unsupported_encoding', { cause: error });
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new TollgateError('invalid_request', { cause: error });
  }
  return null;
}
