import { defineRoute } from '../route.ts';
import {
  degradationStatus,
  setResourceKeepRequest,
  setSelectionPolicyRequest,
  toDegradationStatus,
} from '../wire/degradation.ts';

/** The over-capacity lifecycle of an org, and its admins' choices. */
export const degradationRoutes = [
  defineRoute({
    operationId: 'get_org_billing_degradation',
    summary: 'Whether an org is over capacity, how far, and which of its rows are chosen.',
    method: 'GET',
    path: '/orgs/{id}/billing/degradation',
    access: 'billing:read',
    body: null,
    responses: { success: degradationStatus, errors: ['repository_unavailable', 'quota_unavailable'] },
    async handle({ billing, org }) {
      return { body: toDegradationStatus(await billing.degradation(org)) };
    },
  }),
  defineRoute({
    operationId: 'put_org_billing_degradation_policy',
    summary: 'Sets by what rule excess rows are chosen, and chooses anew.',
    method: 'PUT',
    path: '/orgs/{id}/billing/degradation/policy',
    access: 'billing:manage',
    body: setSelectionPolicyRequest,
    responses: { success: degradationStatus, errors: ['repository_unavailable', 'quota_unavailable'] },
    async handle({ billing, org, actor, body }) {
      return {
        body: toDegradationStatus(await billing.setSelectionPolicy({ org, actor, policy: body.policy })),
      };
    },
  }),
  defineRoute({
    operationId: 'post_org_billing_degradation_resource',
    summary: 'Pins a row to be kept, or unpins it, and chooses anew.',
    method: 'POST',
    path: '/orgs/{id}/billing/degradation/resource',
    access: 'billing:manage',
    body: setResourceKeepRequest,
    responses: {
      success: degradationStatus,
      errors: ['resource_not_found', 'keep_limit_reached', 'repository_unavailable', 'quota_unavailable'],
    },
    async handle({ billing, org, actor, body }) {
      const { resource, resource_id: id, keep } = body;
      return { body: toDegradationStatus(await billing.setKeep({ org, actor, resource, id, keep })) };
    },
  }),
];
