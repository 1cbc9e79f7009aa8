import { TollgateError } from '../errors/tollgate-error.ts';
import type { PaymentProvider } from '../ports/payment-provider.ts';

/** Calls the provider. Anything it throws other than a `TollgateError` becomes a `provider_error` with that as its cause. */
export async function callProvider<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof TollgateError) throw error;
    throw new TollgateError('provider_error', { cause: error });
  }
}

/** The provider. @throws TollgateError `provider_not_configured` if there is none */
export function configured(provider: PaymentProvider | null): PaymentProvider {
  if (provider === null) throw new TollgateError('provider_not_configured');
  return provider;
}
