import {
  type Billing,
  type BillingOptions,
  type CounterReading,
  type CounterStore,
  capacity,
  createBilling,
  memoryCounterStore,
  metered,
} from '@tollgate/core';
import { fakeClock } from '@tollgate/testing';
import { onTestFinished } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { type Framework, type GuardedRoutes, serveGuarded } from './guarded-app.ts';

export const quotas = {
  devices: capacity(),
  zones: capacity(),
  seats: capacity(),
  door_opens: metered({ periods: ['day', 'month'] }),
  call_seconds: metered({ periods: ['per_session'], unit: 'seconds' }),
};

/** A host with an engine and rows in memory, on a clock that stands still. */
export interface GuardScene {
  readonly billing: Billing;
  readonly clock: ReturnType<typeof fakeClock>;
  /** The host's rows, by key. */
  readonly rows: Map<string, number>;
  /** Writes rows. */
  add(key: string, rows?: number): void;
  /** What the store says of a capacity key. */
  reading(key: string): Promise<Omit<CounterReading, 'countAgeMs'>>;
  /** Waits until the store says so of a capacity key. */
  settles(key: string, expected: Partial<CounterReading>): Promise<void>;
  /** Serves routes until the test ends; answers a way to post to `/things`. */
  serve(
    framework: Framework,
    routes: Omit<GuardedRoutes, 'billing'> & Partial<GuardedRoutes>,
  ): Promise<Posting>;
}

export interface Posting {
  readonly url: string;
  post(headers?: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Response>;
  remove(id: string): Promise<Response>;
}

export const org = 'acme';

/** @param limits - of the one plan there is */
export function guardScene(
  limits: Record<string, number | 'unlimited'>,
  options: Partial<BillingOptions> & { readonly counters?: CounterStore } = {},
): GuardScene {
  const clock = fakeClock();
  const counters = options.counters ?? memoryCounterStore({ clock });
  const rows = new Map<string, number>();
  const billing = createBilling({
    quotas,
    tiers: [{ slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits }],
    inventory: {
      count: async ({ key }) => rows.get(key) ?? 0,
      async *list() {},
      find: async () => null,
    },
    access: () => null,
    provider: null,
    org: (request) => request.header('x-org') ?? org,
    clock,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    ...options,
    counters,
  }) as Billing;

  async function reading(key: string) {
    const [found] = await counters.read({ org, counters: [{ key, window: 'lifetime' }] });
    return {
      committed: found?.committed ?? -1,
      held: found?.held ?? -1,
      uncertain: found?.uncertain ?? -1,
    };
  }

  return {
    billing,
    clock,
    rows,
    add: (key, count = 1) => void rows.set(key, (rows.get(key) ?? 0) + count),
    reading,
    async settles(key, expected) {
      await waitUntil(`${key} is ${JSON.stringify(expected)}`, async () => {
        const now: Record<string, number> = await reading(key);
        return Object.entries(expected).every(([name, value]) => now[name] === value);
      });
    },
    async serve(framework, routes) {
      const app = await serveGuarded(framework, { billing, ...routes });
      onTestFinished(async () => {
        await app.close();
        await billing.close();
      });
      return {
        url: app.url,
        post: (headers = {}, signal = undefined) =>
          fetch(`${app.url}/api/things`, {
            method: 'POST',
            headers,
            ...(signal === undefined ? {} : { signal }),
          }),
        remove: (id) => fetch(`${app.url}/api/things/${id}`, { method: 'DELETE' }),
      };
    },
  };
}

/** A promise to be resolved from outside. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
