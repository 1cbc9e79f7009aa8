// #region assembly
import type { BillingRepository } from '@tollgate/core';
import { eventMethods } from './events.ts';
import type { HostDatabase } from './host-database.ts';
import { lifecycleMethods } from './lifecycle.ts';
import { subscriptionMethods } from './subscriptions.ts';

export function myRepository(database: HostDatabase): BillingRepository {
  return {
    ...subscriptionMethods(database),
    ...eventMethods(database),
    ...lifecycleMethods(database),
    // The database is the app's own: nothing was opened here.
    close: async () => {},
  };
}
// #endregion
