import { TollgateError } from '../errors/tollgate-error.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { Override } from '../ports/billing-repository.ts';
import { isStorableInstant } from '../storable-instant.ts';
import { isStorableText } from '../storable-text.ts';
import type { Wiring } from '../wiring.ts';
import type { SetOverrideRequest } from './types.ts';

/** An override without its id, author and timestamps. */
export type CheckedOverride = Omit<Override, 'id' | 'createdBy' | 'createdAt' | 'updatedAt'>;

const UNLIMITED = -1;
const MAX_REASON_LENGTH = 500;

/**
 * Checks an operator's request field by field, and converts it to the library's own terms.
 *
 * @throws TollgateError with the code of the first fault; see `Overrides.set`
 */
export function checkOverride(
  request: SetOverrideRequest,
  { catalog, settings }: Pick<Wiring, 'catalog' | 'settings'>,
): CheckedOverride {
  const { subjectType, key } = request;
  if (!settings.subjectTypes.includes(subjectType)) throw new TollgateError('unknown_subject_type');
  const subjectId = checkOrgId(request.subjectId, settings.orgIdPattern);
  const quota = catalog.quota(key);
  if (quota === undefined) throw new TollgateError('unknown_quota_key');
  const period = request.period ?? null;
  if (period !== null && !quota.periods.includes(period)) throw new TollgateError('unknown_period');
  const limit = checkLimit(request.limit);
  const expiresAt = checkInstant(request.expiresAt ?? null);
  const reason = checkReason(request.reason ?? null);
  return { subjectType, subjectId, key, period, limit, expiresAt, reason };
}

function checkLimit(limit: unknown): number | null {
  if (limit === UNLIMITED) return null;
  if (typeof limit !== 'number' || !Number.isSafeInteger(limit) || limit < 0)
    throw new TollgateError('invalid_limit');
  // Some encoders would write a negative zero as "-0".
  return limit === 0 ? 0 : limit;
}

function checkInstant(expiresAt: unknown): number | null {
  if (expiresAt === null || isStorableInstant(expiresAt)) return expiresAt;
  throw new TollgateError('invalid_request', {
    message: 'The expiry is not an instant this service can keep.',
  });
}

function checkReason(reason: unknown): string | null {
  if (reason === null) return null;
  if (typeof reason === 'string' && reason.length <= MAX_REASON_LENGTH && isStorableText(reason))
    return reason;
  throw new TollgateError('invalid_request', {
    message: `The reason must be a text of at most ${MAX_REASON_LENGTH} characters.`,
  });
}
