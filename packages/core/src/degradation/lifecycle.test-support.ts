import { defineCatalog } from '../catalog/define-catalog.ts';
import { openAppQuotas } from '../catalog/openapp.ts';
import type { QuotaRegistry } from '../catalog/quota.ts';
import type { TierDefinition } from '../catalog/tier.ts';
import { noTelemetry } from '../defaults/no-telemetry.ts';
import { ulidIds } from '../defaults/ulid-ids.ts';
import { memoryBillingRepository } from '../memory/memory-billing-repository.ts';
import { memoryCounterStore } from '../memory/memory-counter-store.ts';
import { createNotices } from '../notices/notices.ts';
import type { NoticeMap, NoticeName } from '../notices/types.ts';
import type { BillingOptions, RowCallbackRequest } from '../options.ts';
import { createOrgViews } from '../org/org-views.ts';
import { createOverrides } from '../overrides/overrides.ts';
import type { BillingRepository } from '../ports/billing-repository.ts';
import type { InventoryRow, ResourceInventory } from '../ports/resource-inventory.ts';
import { createGate } from '../quota/gate.ts';
import { resolveSettings } from '../resolve-settings.ts';
import type { Wiring } from '../wiring.ts';
import { createDegradation } from './degradation.ts';
import type { ExactUsage } from './evaluations.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const START = Date.UTC(2026, 3, 9, 12);

/** A clock that a test sets. */
export interface TestClock {
  at: number;
  now(): number;
}

export function testClock(at: number = START): TestClock {
  return {
    at,
    now() {
      return this.at;
    },
  };
}

const TIERS: readonly TierDefinition[] = [
  {
    slug: 'free',
    name: 'Free',
    isDefaultForPersonal: true,
    sortOrder: 1,
    limits: { devices: 3, zones: 2, org_users: 2, door_opens: { day: 5 }, api_keys: 'unlimited' },
  },
];

/** A host's tables: rows by org and key, which a test may change at any time. */
export function testHost() {
  const tables = new Map<string, InventoryRow[]>();
  const rowsOf = (org: string, key: string) => {
    const name = `${org}/${key}`;
    const rows = tables.get(name) ?? [];
    tables.set(name, rows);
    return rows;
  };
  const state = { isDown: false, listed: 0 };
  const inventory: ResourceInventory = {
    count: async ({ org, key }) => {
      if (state.isDown) throw new Error('the database is down');
      return tables.get(`${org}/${key}`)?.length ?? 0;
    },
    list: async function* ({ org, key }) {
      if (state.isDown) throw new Error('the database is down');
      state.listed += 1;
      yield* [...(tables.get(`${org}/${key}`) ?? [])];
    },
    find: async ({ org, key, id }) => {
      if (state.isDown) throw new Error('the database is down');
      return tables.get(`${org}/${key}`)?.find((row) => row.id === id) ?? null;
    },
  };
  return {
    inventory,
    state,
    rowsOf,
    add: (org: string, key: string, id: string, createdAt: number, lastUsedAt: number | null = null) =>
      rowsOf(org, key).push({ id, createdAt, lastUsedAt }),
    drop(org: string, key: string, id: string) {
      const rows = rowsOf(org, key);
      const at = rows.findIndex((row) => row.id === id);
      if (at >= 0) rows.splice(at, 1);
    },
  };
}

export type TestHost = ReturnType<typeof testHost>;

/** A host that suspends and restores rows and records every call; a call can be made to fail, or to do more. */
export function testLifecycle(
  options: {
    readonly host?: TestHost;
    readonly sightingMs?: number;
    readonly callbackTimeoutMs?: number;
  } = {},
) {
  const calls: string[] = [];
  const keys: string[] = [];
  const off = new Set<string>();
  const hooks = {
    before: async (_call: string, _signal: AbortSignal) => {},
    after: async (_call: string) => {},
  };
  const callback = (action: 'suspend' | 'restore' | 'remove') => async (row: RowCallbackRequest) => {
    const call = `${action} ${row.org}/${row.resource}/${row.id}`;
    await hooks.before(call, row.signal);
    calls.push(call);
    keys.push(row.idempotencyKey);
    const name = `${row.org}/${row.resource}/${row.id}`;
    if (action === 'suspend') off.add(name);
    else off.delete(name);
    if (action === 'remove') options.host?.drop(row.org, row.resource, row.id);
    await hooks.after(call);
  };
  const lifecycle = {
    suspend: callback('suspend'),
    restore: callback('restore'),
    ...(options.host === undefined ? {} : { remove: callback('remove') }),
    sightingMs: options.sightingMs ?? HOUR,
    callbackTimeoutMs: options.callbackTimeoutMs ?? 1_000,
  };
  return { lifecycle, calls, keys, off, hooks };
}

/** One process with the lifecycle's services on real counters; pass another one's `host` and `repository` to make it a peer. */
export function lifecycleOnMemory(
  options: Partial<BillingOptions> = {},
  shared: {
    host?: TestHost;
    repository?: BillingRepository;
    clock?: TestClock;
    usage?: ExactUsage;
    quotas?: QuotaRegistry;
  } = {},
) {
  const clock = shared.clock ?? testClock();
  const host = shared.host ?? testHost();
  const repository = shared.repository ?? memoryBillingRepository({ clock });
  const log: string[] = [];
  const facts: unknown[] = [];
  const wiring: Omit<Wiring, 'access' | 'provider'> = {
    catalog: defineCatalog(shared.quotas ?? openAppQuotas, TIERS, []),
    settings: resolveSettings({ refusalCountMaxAgeMs: 0, limitsTtlMs: 0, ...options } as BillingOptions, []),
    counters: memoryCounterStore({ clock }),
    repository,
    inventory: host.inventory,
    clock,
    ids: ulidIds(),
    telemetry: noTelemetry,
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: (message, told) => {
        log.push(message);
        facts.push(told);
      },
      error: (message) => void log.push(message),
    },
  };
  const orgViews = createOrgViews(wiring);
  const gate = createGate(wiring, orgViews, () => undefined);
  const notices = createNotices(wiring);
  const told: { name: NoticeName; notice: NoticeMap[NoticeName] }[] = [];
  for (const name of [
    'capacity.warned',
    'capacity.degraded',
    'capacity.marked',
    'capacity.cleared',
  ] as const) {
    notices.on(name, (notice) => void told.push({ name, notice }));
  }
  const usage = shared.usage ?? ((org: string) => gate.usage.report(org, { maxCountAgeMs: -1 }));
  const overrides = createOverrides(wiring, orgViews);
  const degradation = createDegradation(wiring, { usage, orgViews, notices, sync: async () => undefined });
  const setLimit = (org: string, key: string, limit: number) =>
    overrides.set({ subjectType: 'org', subjectId: org, key, limit, actor: 'operator' });
  return {
    clock,
    host,
    repository,
    wiring,
    orgViews,
    usage,
    notices,
    told,
    log,
    /** The facts of the warnings, in order. */
    facts,
    overrides,
    degradation,
    setLimit,
  };
}
