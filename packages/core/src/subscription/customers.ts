import { TollgateError } from '../errors/tollgate-error.ts';
import type { Customer } from '../ports/billing-repository.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import { idempotencyKey } from './idempotency-key.ts';
import type { Reconcile } from './reconcile.ts';

/** The provider's customers that pay for orgs. */
export interface Customers {
  /** The org's customer at the configured provider; null if there is none yet. */
  find(org: string): Promise<Customer | null>;
  /** The org's customer, created at the provider and linked if there is none. Concurrent callers get the same one. */
  ensure(org: string): Promise<Customer>;
  /**
   * Calls `use` with an org's customer. If the provider refuses and is sure that this customer is gone, calls it again with another
   * one, created and linked in its place. Concurrent callers get the same one.
   */
  serve<T>(customer: Customer, use: (customer: Customer) => Promise<T>): Promise<T>;
  /** Whether the provider is sure that a customer is gone. */
  isGone(customer: Customer): Promise<boolean>;
}

/** @param onLinked - called when a customer has just been linked, so that events waiting for it can be applied. */
export function createCustomers(
  wiring: Pick<Wiring, 'repository' | 'provider' | 'logger'>,
  reconcile: Reconcile,
  onLinked: (customer: Customer) => Promise<void>,
): Customers {
  const { repository, logger } = wiring;

  async function find(org: string): Promise<Customer | null> {
    const provider = configured(wiring.provider);
    const { customers } = await repository.loadOrg(org);
    return customers.find((customer) => customer.provider === provider.name) ?? null;
  }

  async function ensure(org: string): Promise<Customer> {
    const known = await find(org);
    if (known !== null) return known;
    const customer = await repository.linkCustomer(await make(org));
    await onLinked(customer);
    return customer;
  }

  /** @param gone - the id of the customer it replaces: with that one's idempotency key the provider would return that one again */
  async function make(org: string, ...gone: readonly string[]): Promise<Customer> {
    const provider = configured(wiring.provider);
    const request = { org, idempotencyKey: idempotencyKey('customer', provider.name, org, ...gone) };
    const { customerId } = await callProvider(() => provider.createCustomer(request));
    return { org, provider: provider.name, customerId };
  }

  async function isGone({ customerId }: Customer): Promise<boolean> {
    const provider = configured(wiring.provider);
    return !(await callProvider(() => provider.hasCustomer({ customerId })));
  }

  async function serve<T>(customer: Customer, use: (customer: Customer) => Promise<T>): Promise<T> {
    try {
      return await use(customer);
    } catch (error) {
      const isRefusal = error instanceof TollgateError && error.code === 'provider_error';
      // A provider that cannot be asked at present is not sure: then the refusal stands.
      if (!isRefusal || !(await isGone(customer).catch(() => false))) throw error;
      return await use(await replace(customer));
    }
  }

  async function replace(gone: Customer): Promise<Customer> {
    const { org, provider, customerId } = gone;
    logger.error('The provider says that a customer is gone. The org gets another one.', {
      provider,
      customer: customerId,
    });
    // Now, while events of the old customer still find their org: nobody would apply them afterwards.
    await reconcile(gone, 'system');
    const made = await make(org, customerId);
    const customer = await repository.replaceCustomer({ customer: made, gone: customerId });
    await onLinked(customer);
    return customer;
  }

  return { find, ensure, serve, isGone };
}
