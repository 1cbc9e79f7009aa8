import { defineCatalog } from '../catalog/define-catalog.ts';
import { openAppQuotas } from '../catalog/openapp.ts';
import type { TierDefinition } from '../catalog/tier.ts';
import { noTelemetry } from '../defaults/no-telemetry.ts';
import { ulidIds } from '../defaults/ulid-ids.ts';
import { memoryCounterStore } from '../memory/memory-counter-store.ts';
import type { BillingOptions } from '../options.ts';
import { createOrgViews } from '../org/org-views.ts';
import type { OrgBilling, UsageSnapshot } from '../ports/billing-repository.ts';
import type { CounterStore } from '../ports/counter-store.ts';
import { resolveSettings } from '../resolve-settings.ts';
import type { Wiring } from '../wiring.ts';
import { createGate } from './gate.ts';

const TIERS: readonly TierDefinition[] = [
  {
    slug: 'free',
    name: 'Free',
    isDefaultForPersonal: true,
    sortOrder: 1,
    limits: { devices: 3, zones: 2, door_opens: { day: 5, month: 8 }, api_keys: 'unlimited' },
  },
];

/** The gate of an engine on memory, with a host whose rows are plain numbers, and a fake clock. */
export function gateOnMemory(
  options: Partial<BillingOptions> = {},
  wrap: (store: CounterStore) => CounterStore = (s) => s,
) {
  const clock = { at: Date.parse('2026-04-09T12:00:00Z'), now: () => clock.at };
  const rows = new Map<string, number>();
  const snapshots = new Map<string, UsageSnapshot>();
  const counted: string[] = [];
  const host = { isDown: false };
  const counters = wrap(memoryCounterStore({ clock }));
  const billing: OrgBilling = { customers: [], subscriptions: [], overrides: [] };
  const wiring = {
    catalog: defineCatalog(openAppQuotas, TIERS, []),
    settings: resolveSettings({ leaseMs: 1_000, ...options } as BillingOptions, []),
    counters,
    clock,
    ids: ulidIds(),
    telemetry: noTelemetry,
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    inventory: {
      count: async ({ org, key }: { org: string; key: string }) => {
        if (host.isDown) throw new Error('the database is down');
        counted.push(`${org}/${key}`);
        return rows.get(`${org}/${key}`) ?? 0;
      },
      list: async function* () {},
      find: async () => null,
    },
    repository: {
      loadOrg: async () => billing,
      loadUsage: async ({
        org,
        windows,
      }: {
        org: string;
        windows: readonly { key: string; window: string }[];
      }) => windows.map(({ key, window }) => snapshots.get(`${org}/${key}/${window}`) ?? null),
      saveUsage: async (saved: readonly UsageSnapshot[]) => {
        for (const one of saved) snapshots.set(`${one.org}/${one.key}/${one.window}`, one);
      },
      purgeUsage: async () => 0,
    },
  };
  const gate = gateOn(wiring);
  return { gate, clock, rows, snapshots, counted, counters, host, wiring };
}

/** Another engine's gate on the same store and host, as another process would have it. */
export function gateOn(wiring: unknown, observe: Parameters<typeof createGate>[2] = () => undefined) {
  const whole = wiring as Omit<Wiring, 'access' | 'provider'>;
  return createGate(whole, createOrgViews(whole), observe);
}
