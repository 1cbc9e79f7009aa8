import { TollgateError } from '../errors/tollgate-error.ts';
import type { PaymentProvider } from '../ports/payment-provider.ts';

/** Asks the provider something; whatever it throws that is not a `TollgateError` becomes `provider_error`, with the cause kept inside. */
export async function callProvider<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof TollgateError) throw error;
    throw new TollgateError('provider_error', { cause: error });
  }
}

/** The provider. @throws TollgateError `provider_not_configured` when nothing is sold here. */
export function configured(provider: PaymentProvider | null): PaymentProvider {
  if (provider === null) throw new TollgateError('provider_not_configured');
  return provider;
}
