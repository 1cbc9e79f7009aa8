import { TollgateError } from './errors/tollgate-error.ts';

/** Hosts without types may ask with nothing, or with an id alone. @throws TollgateError `invalid_request` */
export function checkRequest(request: unknown): void {
  if (typeof request === 'object' && request !== null) return;
  throw new TollgateError('invalid_request', {
    message: 'This is asked with an object that says what is wanted.',
  });
}

/** A method that is asked with an object, and refuses anything else before it looks into it. */
export function askedWith<R, T>(method: (request: R) => Promise<T>): (request: R) => Promise<T> {
  return async (request) => {
    checkRequest(request);
    return await method(request);
  };
}
