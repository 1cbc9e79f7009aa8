import type { BillingRepository, Customer } from '@tollgate/core';
import type { Store } from './store.ts';

/** A customer's columns under the port's names. */
export const CUSTOMER_COLUMNS = 'org, provider, customer_id as "customerId"';

type Methods = 'linkCustomer' | 'replaceCustomer' | 'findCustomer' | 'listCustomers';

/** The part of the repository that stores which customer pays for which org. */
export function customerMethods({ database, ask, s }: Store): Pick<BillingRepository, Methods> {
  /** @param gone - the stored id that the new one may replace; null for none */
  const store = ({ org, provider, customerId }: Customer, gone: string | null) =>
    database.transaction(async (sql) => {
      await sql(
        `insert into ${s}.customers as stored (org, provider, customer_id) values ($1, $2, $3)
         on conflict (org, provider) do update set customer_id = excluded.customer_id where stored.customer_id = $4`,
        [org, provider, customerId, gone],
      );
      const [stored] = await sql<Customer>(
        `select ${CUSTOMER_COLUMNS} from ${s}.customers where org = $1 and provider = $2`,
        [org, provider],
      );
      return stored ?? { org, provider, customerId };
    });

  return {
    linkCustomer: (customer) => store(customer, null),
    replaceCustomer: ({ customer, gone }) => store(customer, gone),

    findCustomer: async ({ provider, customerId }) => {
      const [customer] = await ask<Customer>(
        `select ${CUSTOMER_COLUMNS} from ${s}.customers where provider = $1 and customer_id = $2`,
        [provider, customerId],
      );
      return customer ?? null;
    },

    listCustomers: ({ after, limit }) =>
      ask<Customer>(
        `select ${CUSTOMER_COLUMNS} from ${s}.customers
         where (provider, customer_id) > ($1, $2)
         order by provider, customer_id limit $3`,
        [after?.provider ?? '', after?.customerId ?? '', limit],
      ),
  };
}
