import { TollgateError } from '../errors/tollgate-error.ts';
import { isStorableText } from '../storable-text.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: no header and no database text column holds all of them
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;

/**
 * Whether this is an org id that matches `pattern`. Whatever the pattern allows, an id has at most 256 characters, no control
 * character and no lone surrogate, and is not `__proto__`.
 */
export function isOrgId(org: unknown, pattern: RegExp): org is string {
  return (
    typeof org === 'string' &&
    org.length <= 256 &&
    org !== '__proto__' &&
    !CONTROL_CHARACTER.test(org) &&
    isStorableText(org) &&
    pattern.test(org)
  );
}

/** Returns `org` if it is an org id. @throws TollgateError `invalid_org_id` */
export function checkOrgId(org: unknown, pattern: RegExp): string {
  if (isOrgId(org, pattern)) return org;
  // Null stands for what a client sent and could not be decoded. Any other value that is not a string comes from the host.
  const isSent = org === null || typeof org === 'string';
  throw new TollgateError('invalid_org_id', isSent ? {} : { message: 'The org id must be a text.' });
}
