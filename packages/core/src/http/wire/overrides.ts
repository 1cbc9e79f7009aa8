import * as z from 'zod';
import { QUOTA_PERIODS } from '../../catalog/quota.ts';
import { TollgateError } from '../../errors/tollgate-error.ts';
import type { SetOverrideRequest } from '../../overrides/types.ts';
import type { Override } from '../../ports/billing-repository.ts';
import { named } from './registry.ts';
import { fromInstant, instant, toInstant } from './scalars.ts';

/** No limit, in a wire field that must be a number. */
const UNLIMITED = -1;

const limitValue = z.int().min(UNLIMITED).meta({ format: 'int64', description: '-1 is unlimited.' });

// biome-ignore lint/suspicious/noControlCharactersInRegex: no text column of a database holds this one
const NO_NUL = /^[^\u0000]*$/;

const reason = z.string().max(500).regex(NO_NUL);

export const quotaOverrideRequest = named(
  'QuotaOverrideRequest',
  z.strictObject({
    subject_type: z.string(),
    subject_id: z.string(),
    quota_key: z.string(),
    limit_value: limitValue,
    expires_at: instant.nullish(),
    period: z.string().nullish().meta({ description: 'Absent or null: every period of the key.' }),
    reason: reason.nullish(),
  }),
);

export const quotaOverride = named(
  'QuotaOverride',
  z.strictObject({
    id: z.string(),
    subject_type: z.string(),
    subject_id: z.string(),
    quota_key: z.string(),
    limit_value: limitValue,
    expires_at: instant.nullable(),
    period: z.string().nullable(),
    reason: z.string().nullable(),
    created_by: z.string(),
    created_at: instant,
    updated_at: instant,
  }),
);

export const quotaOverrideList = named(
  'QuotaOverrideListResponse',
  z.strictObject({ overrides: z.array(quotaOverride) }),
);

/**
 * An operator's request in the library's own terms.
 *
 * @throws TollgateError `unknown_period`, or `invalid_request` for an `expires_at` that is no RFC 3339 instant.
 */
export function fromQuotaOverrideRequest(request: z.infer<typeof quotaOverrideRequest>): SetOverrideRequest {
  const { expires_at: expiresAt = null, period = null } = request;
  const known = QUOTA_PERIODS.find((candidate) => candidate === period);
  if (period !== null && known === undefined) throw new TollgateError('unknown_period');
  return {
    subjectType: request.subject_type,
    subjectId: request.subject_id,
    key: request.quota_key,
    limit: request.limit_value,
    period: known ?? null,
    expiresAt: expiresAt === null ? null : readExpiry(expiresAt),
    reason: request.reason ?? null,
  };
}

function readExpiry(text: string): number {
  const at = fromInstant(text);
  if (at === null)
    throw new TollgateError('invalid_request', {
      message: 'The field "expires_at" is not an RFC 3339 instant.',
    });
  // Every past instant means the same, and no store keeps times before 1970.
  return Math.max(0, at);
}

/** A stored override; `limit_value` -1 is unlimited, `period` null every period. */
export function toQuotaOverride(override: Override): z.infer<typeof quotaOverride> {
  return {
    id: override.id,
    subject_type: override.subjectType,
    subject_id: override.subjectId,
    quota_key: override.key,
    limit_value: override.limit ?? UNLIMITED,
    expires_at: toInstant(override.expiresAt),
    period: override.period,
    reason: override.reason,
    created_by: override.createdBy,
    created_at: toInstant(override.createdAt),
    updated_at: toInstant(override.updatedAt),
  };
}
