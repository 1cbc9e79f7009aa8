import { describeFailure } from '../errors/describe-failure.ts';
import type { Customer } from '../ports/billing-repository.ts';
import type { Wiring } from '../wiring.ts';
import { configured } from './call-provider.ts';
import { createPatience } from './patience.ts';
import type { SyncResult } from './types.ts';
import type { Wait } from './wait.ts';

const PAGE = 100;
/** Low, since concurrent checkouts share the provider's rate limit. */
const CONCURRENCY = 4;
/** How many failures one sync logs individually. */
const MAX_LOGGED = 10;

/**
 * Syncs every customer of the provider, a few concurrently. Once the provider or the repository is clearly away, the rest count as
 * failed without being fetched; the next sync starts with the first again.
 */
export function createSyncAll(
  wiring: Pick<Wiring, 'repository' | 'provider' | 'logger'>,
  syncCustomer: (customer: Customer) => Promise<SyncResult>,
  wait: Wait,
): () => Promise<SyncResult> {
  const { repository, logger } = wiring;

  async function* customersOf(provider: string): AsyncGenerator<Customer> {
    let after: { readonly provider: string; readonly customerId: string } | null = null;
    for (;;) {
      const page: readonly Customer[] = await repository.listCustomers({ after, limit: PAGE });
      for (const customer of page) if (customer.provider === provider) yield customer;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = { provider: last.provider, customerId: last.customerId };
    }
  }

  return async () => {
    const provider = configured(wiring.provider);
    const customers = customersOf(provider.name);
    const patience = createPatience(provider, wait);
    let total: SyncResult = { checked: 0, changed: 0, unknown: 0, failed: 0 };
    let failures = 0;

    async function look(customer: Customer): Promise<SyncResult | null> {
      if (patience.isOver) return null;
      try {
        return await patience.ask(() => syncCustomer(customer));
      } catch (error) {
        say(customer, error);
        return null;
      }
    }

    function say({ org }: Customer, error: unknown): void {
      failures += 1;
      if (patience.isOver)
        logger.warn('The sync ends early: nobody answers. The next one begins anew.', describeFailure(error));
      else if (failures <= MAX_LOGGED)
        logger.warn('The subscriptions of an org could not be synced. The next sync tries again.', {
          org,
          ...describeFailure(error),
        });
    }

    async function lane(): Promise<void> {
      for await (const customer of customers) {
        const result = await look(customer);
        total = result === null ? { ...total, failed: total.failed + 1 } : sum(total, result);
      }
    }

    const ends = await Promise.allSettled(Array.from({ length: CONCURRENCY }, lane));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return total;
  };
}

function sum(a: SyncResult, b: SyncResult): SyncResult {
  return {
    checked: a.checked + b.checked,
    changed: a.changed + b.changed,
    unknown: a.unknown + b.unknown,
    failed: a.failed + b.failed,
  };
}
