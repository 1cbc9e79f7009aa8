import type { BillingRepository } from '../../ports/billing-repository.ts';
import type { Synchronous } from './synchronous.ts';
import { byTexts, keyOf, pageOf, type TableStore } from './tables.ts';

type Methods = 'linkCustomer' | 'replaceCustomer' | 'findCustomer' | 'listCustomers';

/** The repository's methods for customers. */
export function customerMethods({
  tables: { customers },
}: TableStore): Synchronous<Pick<BillingRepository, Methods>> {
  return {
    linkCustomer(customer) {
      const name = keyOf(customer.org, customer.provider);
      const stored = customers.get(name) ?? customer;
      customers.set(name, stored);
      return stored;
    },
    replaceCustomer({ customer, gone }) {
      const name = keyOf(customer.org, customer.provider);
      const before = customers.get(name);
      const stored = before === undefined || before.customerId === gone ? customer : before;
      customers.set(name, stored);
      return stored;
    },
    findCustomer({ provider, customerId }) {
      for (const customer of customers.values()) {
        if (customer.provider === provider && customer.customerId === customerId) return customer;
      }
      return null;
    },
    listCustomers({ after, limit }) {
      const order = byTexts((row: { provider: string; customerId: string }) => [
        row.provider,
        row.customerId,
      ]);
      return pageOf(customers.values(), { after, limit, order });
    },
  };
}
