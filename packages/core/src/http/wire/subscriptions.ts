import * as z from 'zod';
import type { OrgPlan, SubscriptionRef } from '../../subscription/types.ts';
import { named } from './registry.ts';

export const subscriptionRef = named(
  'SubscriptionRef',
  z.strictObject({
    provider: z.string(),
    external_id: z.string(),
    tier_slug: z.string().meta({ description: 'Empty when the price of the subscription is in no tier.' }),
    status: z.string(),
  }),
);

export const billingPlanResponse = named(
  'BillingPlanResponse',
  z.strictObject({
    org_id: z.string(),
    tier_id: z.string().nullish(),
    subscription: subscriptionRef.nullish(),
  }),
);

export const checkoutRequest = named('CheckoutRequest', z.strictObject({ tier_slug: z.string() }));

export const portalRequest = named('PortalRequest', z.strictObject({ return_url: z.string() }));

export const portalResponse = named('PortalResponse', z.strictObject({ url: z.string() }));

/** A reference to a subscription, or to a checkout on its way to one. */
export function toSubscriptionRef(ref: SubscriptionRef): z.infer<typeof subscriptionRef> {
  return { provider: ref.provider, external_id: ref.externalId, tier_slug: ref.tier, status: ref.status };
}

/** The plan of an org; its subscription is null when there is none. */
export function toBillingPlanResponse(plan: OrgPlan): z.infer<typeof billingPlanResponse> {
  const { subscription } = plan;
  return {
    org_id: plan.org,
    tier_id: plan.tier,
    subscription:
      subscription &&
      toSubscriptionRef({ ...subscription, externalId: subscription.id, tier: subscription.tier ?? '' }),
  };
}
