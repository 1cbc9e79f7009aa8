import * as z from 'zod';
import { TollgateError } from '../../errors/tollgate-error.ts';
import { defineRoute } from '../route.ts';
import {
  fromQuotaOverrideRequest,
  quotaOverride,
  quotaOverrideList,
  quotaOverrideRequest,
  toQuotaOverride,
} from '../wire/overrides.ts';

/** An operator's own limits for single orgs. */
export const overrideRoutes = [
  defineRoute({
    operationId: 'get_admin_quota_overrides',
    summary: 'The overrides in force.',
    method: 'GET',
    path: '/admin/quota_overrides',
    access: 'operator',
    query: [
      {
        name: 'include_expired',
        description: '`true` lists the overrides that ended as well.',
        schema: z.enum(['true', 'false']),
      },
    ],
    body: null,
    responses: { success: quotaOverrideList, errors: ['invalid_request', 'repository_unavailable'] },
    async handle({ billing, request }) {
      const wanted = request.query('include_expired') ?? 'false';
      if (wanted !== 'true' && wanted !== 'false') throw new TollgateError('invalid_request');
      const overrides = await billing.overrides({ includeExpired: wanted === 'true' });
      return { body: { overrides: overrides.map(toQuotaOverride) } };
    },
  }),
  defineRoute({
    operationId: 'post_admin_quota_override',
    summary: 'Sets the limit of one subject, in place of an earlier one.',
    method: 'POST',
    path: '/admin/quota_overrides',
    access: 'operator',
    body: quotaOverrideRequest,
    fieldErrors: { limit_value: 'invalid_limit' },
    responses: {
      success: quotaOverride,
      errors: [
        'invalid_limit',
        'unknown_quota_key',
        'unknown_period',
        'unknown_subject_type',
        'invalid_org_id',
        'repository_unavailable',
      ],
    },
    async handle({ billing, actor, body }) {
      return {
        body: toQuotaOverride(await billing.setOverride({ ...fromQuotaOverrideRequest(body), actor })),
      };
    },
  }),
];
