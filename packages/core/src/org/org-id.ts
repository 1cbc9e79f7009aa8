import { TollgateError } from '../errors/tollgate-error.ts';

/**
 * Answers the org id if it has the host's form.
 *
 * @throws TollgateError `invalid_org_id`
 */
export function checkOrgId(org: unknown, pattern: RegExp): string {
  if (typeof org !== 'string' || !pattern.test(org)) throw new TollgateError('invalid_org_id');
  return org;
}
