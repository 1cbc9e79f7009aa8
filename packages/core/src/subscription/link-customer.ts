import { checkOrgId } from '../org/org-id.ts';
import type { Wiring } from '../wiring.ts';
import type { CustomerLink, Customers } from './customers.ts';
import { createKeyedQueue } from './keyed-queue.ts';
import { checkProviderId } from './provider-id.ts';
import type { Sync } from './sync.ts';
import type { SyncResult } from './types.ts';

/**
 * Links an org with a customer that exists at the provider already, applies the events that waited for it, and syncs the org. If it
 * fails half-way, calling it again completes it.
 *
 * @throws TollgateError `invalid_org_id`, `invalid_request`, `not_found`, `customer_conflict`, the provider's errors and
 * `repository_unavailable`
 */
export type LinkCustomer = (request: CustomerLink) => Promise<SyncResult>;

export function createLinkCustomer(
  { settings }: Pick<Wiring, 'settings'>,
  { customers, sync }: { readonly customers: Customers; readonly sync: Sync },
): LinkCustomer {
  // Two orgs may be linked to one customer at once, as by a script that links many.
  const queue = createKeyedQueue();
  return async ({ org, customerId, replaces }) => {
    checkOrgId(org, settings.orgIdPattern);
    if (replaces !== undefined) checkProviderId(replaces);
    await queue(checkProviderId(customerId), () => customers.link({ org, customerId, replaces }));
    return await sync({ org });
  };
}
