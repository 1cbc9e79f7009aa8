import type { BillingRepository, Customer, Override, StoredSubscription } from '@tollgate/core';
import { CUSTOMER_COLUMNS } from './customers.ts';
import { OVERRIDE_COLUMNS } from './overrides.ts';
import type { Store } from './store.ts';
import { SUBSCRIPTION_COLUMNS } from './subscriptions.ts';

/** The part of the repository that loads what decides an org's limits. */
export function orgMethods({ database, s }: Store): Pick<BillingRepository, 'loadOrg'> {
  return {
    loadOrg: (org) =>
      database.transaction(async (sql) => ({
        customers: await sql<Customer>(
          `select ${CUSTOMER_COLUMNS} from ${s}.customers where org = $1 order by provider`,
          [org],
        ),
        subscriptions: await sql<StoredSubscription>(
          `select ${SUBSCRIPTION_COLUMNS} from ${s}.subscriptions where org = $1 order by provider, id`,
          [org],
        ),
        overrides: await sql<Override>(
          `select ${OVERRIDE_COLUMNS} from ${s}.overrides where subject_type = 'org' and subject_id = $1 order by id`,
          [org],
        ),
      })),
  };
}
