import { TollgateError } from '../errors/tollgate-error.ts';

/**
 * A prefix for routes, without a trailing slash.
 *
 * @throws TollgateError `invalid_configuration` for anything but plain segments, which all frameworks understand alike.
 */
export function mountPrefix(prefix = ''): string {
  const plain = String(prefix).replace(/\/$/, '');
  if (typeof prefix !== 'string' || !/^(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/.test(plain)) {
    throw new TollgateError('invalid_configuration', {
      message: 'The prefix must be a path of plain segments, such as "/api/v1".',
    });
  }
  return plain;
}
