import type { EventHistory, PaymentProvider, PortalProvider } from '@tollgate/core';
import { createCheckout } from './checkout.ts';
import { createEventHistory } from './event-history.ts';
import { createHasCustomer } from './has-customer.ts';
import { createReadWebhook } from './read-webhook.ts';
import { resolveOptions } from './resolve-options.ts';
import { createStripeClient } from './stripe-client.ts';
import type { StripeOptions } from './stripe-options.ts';
import { createSubscriptions } from './subscriptions.ts';

/** A payment provider that sells through Stripe, with its portal and event history. */
export interface StripeProvider extends PaymentProvider {
  readonly portal: PortalProvider;
  readonly history: EventHistory;
}

/**
 * Creates a payment provider that sells through Stripe. Stripe's client is loaded at the first call to Stripe, so creating a provider
 * costs nothing and calls nobody.
 *
 * ```ts
 * const provider = stripeProvider({
 *   secretKey: process.env.STRIPE_SECRET_KEY ?? '',
 *   webhookSecrets: process.env.STRIPE_WEBHOOK_SECRET ?? '',
 *   prices: { pro: { month: 'price_1A', year: 'price_1B' } },
 *   successUrl: 'https://app.example.com/billing',
 * });
 * ```
 *
 * @throws TollgateError `invalid_configuration`, whose message names every fault and its remedy.
 */
export function stripeProvider(options: StripeOptions): StripeProvider {
  const settings = resolveOptions(options);
  const client = createStripeClient(settings.client);
  const hasCustomer = createHasCustomer(settings, client);
  const { portalConfiguration } = settings;
  return {
    name: settings.name,
    pageOrigins: settings.pageOrigins,
    sells: settings.prices.sells,
    hasCustomer,
    ...createCheckout(settings, client),
    ...createSubscriptions(settings, client, hasCustomer),
    readWebhook: createReadWebhook(settings, client),
    portal: {
      async openPortal({ customerId, returnUrl }) {
        const { url } = await client.ask((stripe) =>
          stripe.billingPortal.sessions.create({
            customer: customerId,
            return_url: returnUrl,
            ...(portalConfiguration === null ? {} : { configuration: portalConfiguration }),
          }),
        );
        return { url };
      },
    },
    history: createEventHistory(settings, client),
    close: async () => client.close(),
  };
}
