import * as z from 'zod';
import type { ProviderEvent } from '../../ports/payment-provider.ts';
import type { WebhookResult } from '../../subscription/types.ts';
import { named } from './registry.ts';

const billingEventKind = named(
  'BillingEventKind',
  z.enum([
    'subscription_created',
    'subscription_updated',
    'subscription_canceled',
    'invoice_paid',
    'invoice_failed',
    'other',
  ]),
);

const billingEvent = named(
  'BillingEvent',
  z.strictObject({
    kind: billingEventKind,
    provider: z.string(),
    raw: z
      .strictObject({ id: z.string(), type: z.string() })
      .meta({ description: "The provider's own id and type." }),
    external_customer_id: z.string().nullish(),
    external_subscription_id: z.string().nullish(),
    status: z.string().nullish(),
    tier_slug: z.string().nullish(),
  }),
);

export const billingWebhookResponse = named(
  'BillingWebhookResponse',
  z.strictObject({ provider: z.string(), events: z.array(billingEvent) }),
);

/** The normalised events of a delivery. */
export function toBillingWebhookResponse(result: WebhookResult): z.infer<typeof billingWebhookResponse> {
  return {
    provider: result.provider,
    events: result.events.map((event) => toBillingEvent(event, result.provider)),
  };
}

function toBillingEvent(event: ProviderEvent, provider: string): z.infer<typeof billingEvent> {
  return {
    kind: event.kind,
    provider,
    raw: { id: event.id, type: event.type },
    external_customer_id: event.customerId,
    external_subscription_id: event.subscriptionId,
    status: event.status,
    tier_slug: event.tier,
  };
}
