import { orgRoutes } from './resources/billing.ts';
import { checkoutRoutes } from './resources/checkout.ts';
import { degradationRoutes } from './resources/degradation.ts';
import { overrideRoutes } from './resources/overrides.ts';
import { planRoutes } from './resources/plans.ts';
import { portalRoutes } from './resources/portal.ts';
import { webhookRoutes } from './resources/webhooks.ts';
import type { Route } from './route.ts';

/** Every operation of the billing API. */
export const billingRoutes: readonly Route[] = [
  ...planRoutes,
  ...orgRoutes,
  ...degradationRoutes,
  ...checkoutRoutes,
  ...portalRoutes,
  ...overrideRoutes,
  ...webhookRoutes,
];

/** Their paths, each once. */
export const billingPaths: readonly string[] = [...new Set(billingRoutes.map((route) => route.path))];
