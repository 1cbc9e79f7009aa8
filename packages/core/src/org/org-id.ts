import { TollgateError } from '../errors/tollgate-error.ts';
import { isStorableText } from '../storable-text.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: no header and no database text column holds all of them
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;

/**
 * Whether it is an org id of the host's form. Whatever that form allows, an id is no longer than 256 characters, holds no
 * control character and no half of a surrogate pair, and is not `__proto__`.
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

/** Answers what is an org id. @throws TollgateError `invalid_org_id` */
export function checkOrgId(org: unknown, pattern: RegExp): string {
  if (isOrgId(org, pattern)) return org;
  // Null is what a client sent and could not be decoded; anything else that is no text comes from the host.
  const isSent = org === null || typeof org === 'string';
  throw new TollgateError('invalid_org_id', isSent ? {} : { message: 'The org id must be a text.' });
}
