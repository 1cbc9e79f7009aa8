import { defineRoute } from '../route.ts';
import { billingWebhookResponse, toBillingWebhookResponse } from '../wire/webhooks.ts';

export const webhookRoutes = [
  defineRoute({
    operationId: 'post_billing_webhook',
    summary: "Takes a payment provider's notice, proven by its signature over the raw bytes.",
    method: 'POST',
    path: '/billing/webhooks/{provider}',
    access: 'signature',
    body: 'bytes',
    responses: {
      success: billingWebhookResponse,
      headers: { 'X-Webhook-Outcome': '`applied`, `duplicate`, `ignored` or `unmatched`.' },
      errors: [
        'invalid_signature',
        'invalid_event',
        'unknown_provider',
        'raw_body_unavailable',
        'event_in_progress',
        'provider_error',
        'provider_busy',
        'provider_timeout',
        'provider_not_configured',
        'repository_unavailable',
      ],
    },
    async handle({ billing, provider, body, request }) {
      const result = await billing.webhook({ provider, bytes: body, header: (name) => request.header(name) });
      return { body: toBillingWebhookResponse(result), headers: { 'X-Webhook-Outcome': result.outcome } };
    },
  }),
];
