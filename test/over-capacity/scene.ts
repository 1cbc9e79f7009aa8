import {
  type Billing,
  type BillingOptions,
  capacity,
  createBilling,
  type InventoryRow,
  memoryBillingRepository,
  metered,
} from '@tollgate/core';
import { fakeClock } from '@tollgate/testing';
import { onTestFinished } from 'vitest';
import { type Framework, serveDoor } from './apps.ts';

export const DAY = 86_400_000;
export const HOUR = 3_600_000;
export const MAX_DELAY_MS = 40;

/** The org `acme` with devices d1 (oldest) to d5 on a plan of three, a host that suspends, and one app of a framework. */
export async function overCapacityScene(
  framework: Framework,
  given: { readonly options?: Partial<BillingOptions>; readonly friction?: object } = {},
) {
  const clock = fakeClock();
  const repository = memoryBillingRepository({ clock });
  const startedAt = clock.now();
  const rows: InventoryRow[] = [1, 2, 3, 4, 5].map((n) => ({
    id: `d${n}`,
    createdAt: startedAt - 10 * DAY + n,
    lastUsedAt: null,
  }));
  const suspended = new Set<string>();
  const billing = createBilling({
    quotas: { devices: capacity(), door_opens: metered({ periods: ['day'] }) },
    tiers: [
      {
        slug: 'free',
        name: 'Free',
        isDefaultForPersonal: true,
        sortOrder: 1,
        limits: { devices: 3, door_opens: 100 },
      },
    ],
    inventory: {
      count: async ({ key }) => (key === 'devices' ? rows.length : 0),
      list: async function* ({ key }) {
        if (key === 'devices') yield* [...rows];
      },
      find: async ({ id }) => rows.find((row) => row.id === id) ?? null,
    },
    access: ({ request, permission }) => {
      const who = request.header('x-api-key');
      if (who === undefined) return null;
      return { actor: who, allowed: permission === 'billing:read' || who === 'admin' };
    },
    provider: null,
    repository,
    clock,
    org: (request) => request.header('x-org'),
    limitsTtlMs: 0,
    refusalCountMaxAgeMs: 0,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    overCapacity: { maxDelayMs: MAX_DELAY_MS },
    lifecycle: {
      suspend: ({ id }) => void suspended.add(id),
      restore: ({ id }) => void suspended.delete(id),
      sightingMs: HOUR,
    },
    ...given.options,
  }) as Billing;
  const openedBy: (string | undefined)[] = [];
  const app = await serveDoor(framework, {
    billing,
    ...(given.friction === undefined ? {} : { friction: given.friction }),
    onOpen: (who) => void openedBy.push(who),
  });
  onTestFinished(async () => {
    await app.close();
    await billing.close();
  });
  const headersOf = (who: string | null) => ({
    'x-org': 'acme',
    ...(who === null ? {} : { 'x-api-key': who }),
  });
  return {
    app,
    billing,
    clock,
    repository,
    rows,
    startedAt,
    suspended,
    openedBy,
    at: (ms: number) => clock.set(startedAt + ms),
    open: (who: string | null, init: RequestInit = {}) =>
      fetch(`${app.url}/open`, { method: 'POST', headers: headersOf(who), ...init }),
    get: async (path: string, who = 'member') => {
      const answer = await fetch(`${app.url}${path}`, { headers: headersOf(who) });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    },
    send: async (method: string, path: string, body: object, who = 'admin') => {
      const answer = await fetch(`${app.url}${path}`, {
        method,
        headers: { ...headersOf(who), 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    },
    setLimit: (limit: number) =>
      billing.setOverride({
        subjectType: 'org',
        subjectId: 'acme',
        key: 'devices',
        limit,
        actor: 'operator',
      }),
  };
}
