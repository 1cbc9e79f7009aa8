import { defineRoute } from '../route.ts';
import { portalRequest, portalResponse } from '../wire/subscriptions.ts';

export const portalRoutes = [
  defineRoute({
    operationId: 'post_org_billing_portal',
    summary: "Opens the provider's page on which a customer manages card, invoices and subscription.",
    method: 'POST',
    path: '/orgs/{id}/billing/portal',
    access: 'billing:manage',
    body: portalRequest,
    responses: {
      success: portalResponse,
      errors: [
        'invalid_return_url',
        'portal_unsupported',
        'provider_error',
        'provider_busy',
        'provider_timeout',
        'provider_not_configured',
        'repository_unavailable',
      ],
    },
    async handle({ billing, org, body }) {
      const { url } = await billing.portal({ org, returnUrl: body.return_url });
      return { body: { url } };
    },
  }),
];
