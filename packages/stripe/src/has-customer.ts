import type { PaymentProvider } from '@tollgate/core';
import { isMissing } from './call-stripe.ts';
import { own } from './own.ts';
import type { StripeClient } from './stripe-client.ts';
import type { StripeSettings } from './stripe-settings.ts';

/**
 * Whether Stripe still has a customer. It is gone when Stripe says that it was deleted. One that Stripe never heard of went with
 * deleted test data; in live mode nothing goes like that, so there the key is another account's, which is a failure.
 */
export function createHasCustomer(
  { livemode }: Pick<StripeSettings, 'livemode'>,
  client: StripeClient,
): PaymentProvider['hasCustomer'] {
  return async ({ customerId }) => {
    try {
      const customer = await client.ask((stripe) => stripe.customers.retrieve(customerId));
      return own(customer, 'deleted') !== true;
    } catch (error) {
      if (isMissing(error) && !livemode) return false;
      throw error;
    }
  };
}
