import {
  type Access,
  type BillingOptions,
  type InventoryRow,
  type Logger,
  openAppQuotas,
  type Permission,
  type ResourceInventory,
  type SandboxProvider,
  sandboxProvider,
  type TierDefinition,
} from '@tollgate/core';
import { type FakeClock, fakeClock } from './fake-clock.ts';

const QUOTAS = {
  devices: openAppQuotas.devices,
  org_users: openAppQuotas.org_users,
  door_opens: openAppQuotas.door_opens,
  video_session_duration_seconds: openAppQuotas.video_session_duration_seconds,
};

const TIERS: readonly TierDefinition<keyof typeof QUOTAS>[] = [
  {
    slug: 'free',
    name: 'Free',
    isDefaultForPersonal: true,
    sortOrder: 10,
    limits: {
      devices: 3,
      org_users: 2,
      door_opens: { day: 20, month: 200 },
      video_session_duration_seconds: 60,
    },
  },
  {
    slug: 'pro',
    name: { en: 'Pro', de: 'Profi' },
    description: 'For teams.',
    sortOrder: 20,
    limits: {
      devices: 50,
      org_users: 20,
      door_opens: { day: 500, month: 5_000 },
      video_session_duration_seconds: 3_600,
    },
  },
  {
    slug: 'business',
    name: 'Business',
    sortOrder: 30,
    limits: {
      devices: 'unlimited',
      org_users: 'unlimited',
      door_opens: { day: 'unlimited' },
      video_session_duration_seconds: 'unlimited',
    },
  },
  { slug: 'enterprise', name: 'Enterprise', isPublished: false, sortOrder: 40, limits: {} },
];

/** Who the fixture's keys belong to: an org and the permissions in it, or `operator`. */
export const PRINCIPALS = {
  'key-admin': { actor: 'admin', org: 'acme', permissions: ['billing:read', 'billing:manage'] },
  'key-member': { actor: 'member', org: 'acme', permissions: ['billing:read'] },
  'key-other': { actor: 'other', org: 'globex', permissions: ['billing:read', 'billing:manage'] },
  'key-operator': { actor: 'operator', org: null, permissions: ['operator'] },
} as const satisfies Record<
  string,
  { actor: string; org: string | null; permissions: readonly Permission[] }
>;

export type PrincipalKey = keyof typeof PRINCIPALS;

/** The body limits that the contract's requests assume. */
export const BODY_LIMITS = { maxBodyBytes: 65_536, bodyTimeoutMs: 150 };

/** What the server contract's engine is made from, with the handles its tests need. */
export interface ServerFixture {
  readonly options: BillingOptions<keyof typeof QUOTAS>;
  readonly clock: FakeClock;
  readonly provider: SandboxProvider;
  /** Everything logged as a warning or an error, but for what is said of signatures: they are refused, and that may be the sender's fault. */
  readonly logged: readonly { readonly message: string; readonly facts: unknown }[];
}

/** The options of an engine with in-memory stores, a stopped clock, and a sandbox that sells. */
export function serverFixture(more: Partial<BillingOptions<keyof typeof QUOTAS>> = {}): ServerFixture {
  const clock = fakeClock();
  const provider = sandboxProvider({ webhookUrl: null, secret: 'contract-secret', clock });
  const logged: { message: string; facts: unknown }[] = [];
  const options: BillingOptions<keyof typeof QUOTAS> = {
    quotas: QUOTAS,
    tiers: TIERS,
    inventory: fixtureInventory(clock.now()),
    access: fixtureAccess,
    provider,
    returnOrigins: ['https://app.example.com'],
    clock,
    logger: recordingLogger(logged),
    ...BODY_LIMITS,
    ...more,
  };
  return { options, clock, provider, logged };
}

/** The usual way for a JSON API to identify the caller: `X-API-Key` or a bearer token. */
export const fixtureAccess: Access = ({ request, permission, org }) => {
  const key = request.header('x-api-key') ?? /^Bearer (.+)$/.exec(request.header('authorization') ?? '')?.[1];
  const principal =
    key !== undefined && Object.hasOwn(PRINCIPALS, key) ? PRINCIPALS[key as PrincipalKey] : undefined;
  if (principal === undefined) return null;
  const permissions: readonly Permission[] = principal.permissions;
  return { actor: principal.actor, allowed: permissions.includes(permission) && principal.org === org };
};

function fixtureInventory(now: number): ResourceInventory {
  const rows = (org: string, key: string): readonly InventoryRow[] => {
    if (org !== 'acme' || key !== 'devices') return [];
    return ['d1', 'd2'].map((id, index) => ({ id, createdAt: now - 1_000 * (index + 1), lastUsedAt: null }));
  };
  return {
    count: async ({ org, key }) => rows(org, key).length,
    async *list({ org, key }) {
      yield* rows(org, key);
    },
    find: async ({ org, key, id }) => rows(org, key).find((row) => row.id === id) ?? null,
  };
}

function recordingLogger(logged: { message: string; facts: unknown }[]): Logger {
  const keep = (message: string, facts?: unknown) => {
    if (Object(facts).code !== 'invalid_signature') logged.push({ message, facts });
  };
  return { debug: () => {}, info: () => {}, warn: keep, error: keep };
}
