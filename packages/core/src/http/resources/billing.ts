import * as z from 'zod';
import { TollgateError } from '../../errors/tollgate-error.ts';
import { SESSION_PATTERN } from '../../quota/charges.ts';
import { defineRoute } from '../route.ts';
import { plansResponse, toPlansResponse } from '../wire/plans.ts';
import { billingPlanResponse, toBillingPlanResponse } from '../wire/subscriptions.ts';
import { quotaReport, toQuotaReport } from '../wire/usage.ts';

/** Reads an org's plan, limits and usage. */
export const orgRoutes = [
  defineRoute({
    operationId: 'get_org_billing_plan',
    summary: 'The plan an org is on, and the subscription behind it.',
    method: 'GET',
    path: '/orgs/{id}/billing/plan',
    access: 'billing:read',
    body: null,
    responses: { success: billingPlanResponse, errors: ['repository_unavailable'] },
    async handle({ billing, org }) {
      return { body: toBillingPlanResponse(await billing.plan(org)) };
    },
  }),
  defineRoute({
    operationId: 'get_org_billing_upgrade_options',
    summary: "The published plans above the org's own.",
    method: 'GET',
    path: '/orgs/{id}/billing/upgrade-options',
    access: 'billing:read',
    body: null,
    responses: { success: plansResponse, errors: ['repository_unavailable'] },
    async handle({ billing, engine, org }) {
      return { body: toPlansResponse(await billing.upgradeOptions(org), engine.catalog) };
    },
  }),
  defineRoute({
    operationId: 'get_org_billing_usage',
    summary: 'What an org uses of each quota, in each of its periods.',
    method: 'GET',
    path: '/orgs/{id}/billing/usage',
    access: 'billing:read',
    query: [
      {
        name: 'session',
        description: 'Also report the per-session quotas of this session.',
        schema: z.string().regex(SESSION_PATTERN),
      },
    ],
    body: null,
    responses: {
      success: quotaReport,
      errors: ['invalid_request', 'repository_unavailable', 'quota_unavailable'],
    },
    async handle({ billing, org, request }) {
      const session = request.query('session');
      if (session !== undefined && !SESSION_PATTERN.test(session)) throw new TollgateError('invalid_request');
      return { body: toQuotaReport(await billing.usage(session === undefined ? { org } : { org, session })) };
    },
  }),
];
