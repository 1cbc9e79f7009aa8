import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type PaymentProvider, sandboxProvider } from '@tollgate/core';
import { stripeProvider } from '@tollgate/stripe';
import type { Environment } from './environment.ts';
import { plans } from './plans.ts';

/** The payment provider that was opened. */
export interface OpenedProvider {
  readonly provider: PaymentProvider;
  /** One line for people to read. */
  readonly description: string;
}

/**
 * Opens the payment provider: Stripe where a key is set, else the sandbox, which needs no account.
 *
 * @param origin - where the example is reached, for webhooks and for the return from a checkout page
 */
export async function openProvider(
  environment: Environment,
  origin: string,
  basePath: string,
): Promise<OpenedProvider> {
  const { host, stripe } = environment;
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
  const file = sandboxFile(environment);
  const sandbox = sandboxProvider({
    webhookUrl: `${origin}${basePath}/billing/webhooks/sandbox`,
    returnUrl: `${origin}/`,
    tiers: plans.filter((plan) => plan.isPublished !== false).map((plan) => plan.slug),
    ...(isEverywhere ? { host } : {}),
    ...(file === null ? {} : { file }),
  });
  await sandbox.start();
  return { provider: sandbox, description: `sandbox at ${sandbox.origin}` };
}

/** The file of the sandbox's state, which lives as long as the billing state and is shared by the same processes. */
function sandboxFile({ dataDir, databaseUrl }: Environment): string | null {
  if (dataDir !== null) return join(dataDir, 'sandbox.json');
  if (databaseUrl === null) return null;
  const name = createHash('sha256').update(databaseUrl).digest('hex').slice(0, 16);
  return join(homedir(), '.cache', 'tollgate-example', `sandbox-${name}.json`);
}
