import { TollgateError } from './errors/tollgate-error.ts';

/** Refuses what is not an object: a host without types may pass nothing, or an id alone. @throws TollgateError `invalid_request` */
export function checkRequest(request: unknown): void {
  if (typeof request === 'object' && request !== null) return;
  throw new TollgateError('invalid_request', {
    message: 'This is asked with an object that says what is wanted.',
  });
}

/** Wraps a method whose request is an object, so that it refuses anything else. */
export function askedWith<R, T>(method: (request: R) => Promise<T>): (request: R) => Promise<T> {
  return async (request) => {
    checkRequest(request);
    return await method(request);
  };
}
