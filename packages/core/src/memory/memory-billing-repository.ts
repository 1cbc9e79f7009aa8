import { systemClock } from '../defaults/system-clock.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { BillingRepository } from '../ports/billing-repository.ts';
import type { Clock } from '../ports/clock.ts';
import { auditMethods } from './billing/audit.ts';
import { checkoutMethods } from './billing/checkouts.ts';
import { customerMethods } from './billing/customers.ts';
import { degradationMethods } from './billing/degradation.ts';
import { inboxMethods } from './billing/inbox.ts';
import { orgMethods } from './billing/org.ts';
import { overrideMethods } from './billing/overrides.ts';
import { subscriptionMethods } from './billing/subscriptions.ts';
import { sweepMethods } from './billing/sweeps.ts';
import { toAsynchronous } from './billing/synchronous.ts';
import { emptyTables, type Tables } from './billing/tables.ts';
import { usageMethods } from './billing/usage.ts';

/** A repository with a view behind the port, for tests and debugging. */
export interface MemoryBillingRepository extends BillingRepository {
  /** A copy of all that is stored. */
  contents(): Tables;
}

/**
 * Keeps billing state in this process' memory, and loses it with the process: the default, and the reference that other
 * repositories are compared with.
 *
 * @default options.clock the system's clock
 */
export function memoryBillingRepository(options: { readonly clock?: Clock } = {}): MemoryBillingRepository {
  const store = { tables: emptyTables(), clock: options.clock ?? systemClock };
  let isClosed = false;
  const repository = toAsynchronous<Omit<BillingRepository, 'close'>>(
    {
      ...orgMethods(store),
      ...customerMethods(store),
      ...subscriptionMethods(store),
      ...checkoutMethods(store),
      ...inboxMethods(store),
      ...overrideMethods(store),
      ...degradationMethods(store),
      ...sweepMethods(store),
      ...usageMethods(store),
      ...auditMethods(store),
    },
    () => {
      if (isClosed)
        throw new TollgateError('repository_unavailable', { message: 'The repository is closed.' });
    },
  );
  return {
    ...repository,
    async close() {
      isClosed = true;
    },
    contents: () => structuredClone(store.tables),
  };
}
