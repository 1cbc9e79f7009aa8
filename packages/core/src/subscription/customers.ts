import type { Customer } from '../ports/billing-repository.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import { idempotencyKey } from './idempotency-key.ts';

/** The provider's customers that pay for orgs. */
export interface Customers {
  /** The org's customer at the configured provider; null when none was made yet. */
  find(org: string): Promise<Customer | null>;
  /** The org's customer, made at the provider and linked if there is none. Racing callers get the same one. */
  ensure(org: string): Promise<Customer>;
}

/** @param onLinked - called when a customer has just been linked, so that events that waited for it can be done. */
export function createCustomers(
  wiring: Pick<Wiring, 'repository' | 'provider'>,
  onLinked: (customer: Customer) => Promise<void>,
): Customers {
  const { repository } = wiring;

  async function find(org: string): Promise<Customer | null> {
    const provider = configured(wiring.provider);
    const { customers } = await repository.loadOrg(org);
    return customers.find((customer) => customer.provider === provider.name) ?? null;
  }

  async function ensure(org: string): Promise<Customer> {
    const known = await find(org);
    if (known !== null) return known;
    const provider = configured(wiring.provider);
    const request = { org, idempotencyKey: idempotencyKey('customer', provider.name, org) };
    const { customerId } = await callProvider(() => provider.createCustomer(request));
    const customer = await repository.linkCustomer({ org, provider: provider.name, customerId });
    await onLinked(customer);
    return customer;
  }

  return { find, ensure };
}
