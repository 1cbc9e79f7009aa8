import { defineRoute } from '../route.ts';
import { checkoutRequest, subscriptionRef, toSubscriptionRef } from '../wire/subscriptions.ts';

export const checkoutRoutes = [
  defineRoute({
    operationId: 'post_org_billing_checkout',
    summary: 'Moves an org to a plan: changes its live subscription, or opens a hosted page to start one.',
    method: 'POST',
    path: '/orgs/{id}/billing/checkout',
    access: 'billing:manage',
    body: checkoutRequest,
    responses: {
      success: subscriptionRef,
      headers: {
        Location: 'The hosted page to send the customer to; absent when nothing is left to do there.',
      },
      errors: [
        'unknown_tier',
        'checkout_in_progress',
        'provider_error',
        'provider_busy',
        'provider_timeout',
        'provider_not_configured',
        'repository_unavailable',
      ],
    },
    async handle({ billing, org, actor, body }) {
      const { subscription, location } = await billing.checkout({ org, actor, tier: body.tier_slug });
      const answer = { body: toSubscriptionRef(subscription) };
      return location === null ? answer : { ...answer, headers: { Location: location } };
    },
  }),
];
