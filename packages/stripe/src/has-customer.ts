import type { PaymentProvider } from '@tollgate/core';
import { isMissing } from './call-stripe.ts';
import { own } from './own.ts';
import type { StripeClient } from './stripe-client.ts';
import type { StripeSettings } from './stripe-settings.ts';

/**
 * Whether Stripe still has a customer. It is gone if Stripe says that it was deleted. In test mode an unknown one is gone too, with deleted
 * test data. Live data is not deleted like that: an unknown customer there means that the key is of another account, which is a failure.
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
