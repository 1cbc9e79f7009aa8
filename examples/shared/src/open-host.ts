import { type Billing, createBilling, type OpenAppQuotaKey, openAppQuotas } from '@tollgate/core';
import { access } from './credentials.ts';
import type { Environment } from './environment.ts';
import { createHostAnswers, type HostAnswers } from './host-answers.ts';
import { createInventory } from './inventory.ts';
import { openProvider } from './open-provider.ts';
import { openStores } from './open-stores.ts';
import { plans } from './plans.ts';

/** Where the API lies. */
export const basePath = '/api/v1';

/** The example but for its framework. */
export interface Host {
  readonly billing: Billing<OpenAppQuotaKey>;
  readonly answers: HostAnswers;
  /** Where it is reached. */
  readonly origin: string;
  /** What it runs on, one line each, for people. */
  readonly description: readonly string[];
  close(): Promise<void>;
}

/** Opens stores and provider as the environment says, and makes the engine of them. */
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
    // The guards come after `enter`, which has checked that the caller belongs to this org.
    org: (request) => request.header('x-org'),
    // Two processes of the example show each other's changes after a second.
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
      // No `remove`: what is marked for delete stays, and an upgrade brings it back.
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

/** An option, if it is given. */
function given<N extends string>(name: N, value: number | null): { readonly [P in N]?: number } {
  return value === null ? {} : ({ [name]: value } as { readonly [P in N]: number });
}

function originOf({ host, port }: Environment): string {
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`;
}
