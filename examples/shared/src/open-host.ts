import { type Billing, createBilling, type OpenAppQuotaKey, openAppQuotas } from '@tollgate/core';
import { access } from './credentials.ts';
import type { Environment } from './environment.ts';
import { createHostAnswers, type HostAnswers } from './host-answers.ts';
import { createInventory } from './inventory.ts';
import { openProvider } from './open-provider.ts';
import { openStores } from './open-stores.ts';
import { plans } from './plans.ts';

/** Where the API is mounted. */
export const basePath = '/api/v1';

/** The example without its framework. */
export interface Host {
  readonly billing: Billing<OpenAppQuotaKey>;
  readonly answers: HostAnswers;
  /** The origin at which it is reached. */
  readonly origin: string;
  /** What it runs on, in lines for people to read. */
  readonly description: readonly string[];
  close(): Promise<void>;
}

/** Opens the stores and the provider that the environment selects, and creates the engine. */
export async function openHost(environment: Environment): Promise<Host> {
  const { sweepMs } = environment;
  const origin = originOf(environment);
  const stores = await openStores(environment);
  const { provider, description } = await openProvider(environment, origin, basePath);
  const { counters, repository, rows } = stores;
  const billing = createBilling({
    quotas: openAppQuotas,
    tiers: plans,
    inventory: createInventory(rows),
    access,
    provider,
    ...(counters === undefined ? {} : { counters }),
    ...(repository === undefined ? {} : { repository }),
    // The guards run after `enter`, which has checked that the caller belongs to this org.
    org: (request) => request.header('x-org'),
    // Each process of the example shows the others' changes within a second.
    limitsTtlMs: 1_000,
    returnOrigins: [origin],
    overCapacity: {
      ...given('warnedMs', environment.warnedMs),
      ...given('degradedMs', environment.degradedMs),
      ...given('maxDelayMs', environment.maxDelayMs),
    },
    lifecycle: {
      suspend: ({ org, resource, id }) => rows.setSuspended({ org, key: resource, id, at: Date.now() }),
      restore: ({ org, resource, id }) => rows.setSuspended({ org, key: resource, id, at: null }),
      // No `remove`: rows marked for deletion stay, and an upgrade restores them.
      ...given('sightingMs', sweepMs),
    },
  });
  billing.startSweeper({ everyMs: sweepMs ?? 60_000 });
  return {
    billing,
    answers: createHostAnswers(rows),
    origin,
    description: [...stores.description, `payments ${description}`],
    async close() {
      await billing.close();
      await stores.close();
    },
  };
}

/** An object with the option, or without it if the value is null. */
function given<N extends string>(name: N, value: number | null): { readonly [P in N]?: number } {
  return value === null ? {} : ({ [name]: value } as { readonly [P in N]: number });
}

function originOf({ host, port }: Environment): string {
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`;
}
