import { TollgateError } from '@tollgate/core';

/** Stripe's limits. A name may not hold square brackets either: they nest. */
const MAX_KEYS = 50;
const NAME = /^[^[\]]{1,40}$/u;
const VALUE = /^.{0,500}$/su;

/**
 * The metadata of an org's new customer: the host's, and our own, which wins.
 *
 * @throws TollgateError `invalid_configuration` if Stripe would refuse the host's: by then nobody could say why
 */
export function customerMetadata(org: string, given: unknown): Readonly<Record<string, string>> {
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given);
  const metadata = { ...(isObject ? given : {}), tollgate_org: org };
  const entries: readonly (readonly [string, unknown])[] = Object.entries(metadata);
  const isUsable =
    (isObject || given === undefined) &&
    entries.length <= MAX_KEYS &&
    entries.every(([name, value]) => NAME.test(name) && typeof value === 'string' && VALUE.test(value));
  if (isUsable) return metadata;
  throw new TollgateError('invalid_configuration', {
    message: `describeCustomer: its metadata is not valid. Return an object of at most ${MAX_KEYS - 1} texts of up to 500 characters, with names of up to 40 without [ and ].`,
  });
}
