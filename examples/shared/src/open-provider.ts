import { join } from 'node:path';
import { type PaymentProvider, sandboxProvider } from '@tollgate/core';
import { stripeProvider } from '@tollgate/stripe';
import type { Environment } from './environment.ts';
import { plans } from './plans.ts';

/** Who is paid. */
export interface OpenedProvider {
  readonly provider: PaymentProvider;
  /** One line, for people. */
  readonly description: string;
}

/**
 * Opens the payment provider: Stripe where a key is set, else the sandbox, which needs no account.
 *
 * @param origin - where the example is reached, for webhooks and for the way back from a checkout page
 */
export async function openProvider(
  environment: Environment,
  origin: string,
  basePath: string,
): Promise<OpenedProvider> {
  const { dataDir, host, stripe } = environment;
  if (stripe !== null) {
    const { secretKey, webhookSecret, apiBase, prices } = stripe;
    const provider = stripeProvider({
      secretKey,
      webhookSecrets: webhookSecret,
      prices,
      successUrl: `${origin}/`,
      ...(apiBase === null ? {} : { apiBase }),
    });
    const where = apiBase === null ? '' : ` at ${apiBase}`;
    return { provider, description: `Stripe${where}, webhooks to ${basePath}/billing/webhooks/stripe` };
  }
  const isEverywhere = host === '0.0.0.0' || host === '::';
  const sandbox = sandboxProvider({
    webhookUrl: `${origin}${basePath}/billing/webhooks/sandbox`,
    returnUrl: `${origin}/`,
    tiers: plans.filter((plan) => plan.isPublished !== false).map((plan) => plan.slug),
    ...(isEverywhere ? { host } : {}),
    ...(dataDir === null ? {} : { file: join(dataDir, 'sandbox.json') }),
  });
  await sandbox.start();
  return { provider: sandbox, description: `sandbox at ${sandbox.origin}` };
}
