import { type FakeClock, fakeClock } from '@tollgate/testing';
import { defineCatalog } from '../catalog/define-catalog.ts';
import { capacity } from '../catalog/quota.ts';
import { noTelemetry } from '../defaults/no-telemetry.ts';
import { ulidIds } from '../defaults/ulid-ids.ts';
import {
  type MemoryBillingRepository,
  memoryBillingRepository,
} from '../memory/memory-billing-repository.ts';
import type { BillingRepository, StoredSubscription, Subscription } from '../ports/billing-repository.ts';
import type { PaymentProvider } from '../ports/payment-provider.ts';
import type { SandboxOptions } from '../sandbox/sandbox-options.ts';
import { type SandboxProvider, sandboxProvider } from '../sandbox/sandbox-provider.ts';
import type { Wiring } from '../wiring.ts';
import { createSubscriptions, type Subscriptions } from './subscriptions.ts';
import type { WebhookResult } from './types.ts';

const TIERS = [
  { slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 0, limits: { devices: 3 } },
  { slug: 'pro', name: 'Pro', sortOrder: 1, limits: { devices: 50 } },
  { slug: 'business', name: 'Business', sortOrder: 2, limits: { devices: 'unlimited' } },
  {
    slug: 'enterprise',
    name: 'Enterprise',
    isPublished: false,
    sortOrder: 3,
    limits: { devices: 'unlimited' },
  },
] as const;

/** One process: services of their own over a shared repository and provider. */
export interface Process extends Subscriptions {
  readonly dropped: string[];
  readonly changes: { readonly before: Subscription | null; readonly after: Subscription }[];
  readonly logs: { readonly level: string; readonly message: string; readonly facts: unknown }[];
  readonly counted: Readonly<Record<string, string>>[];
  /** Posts one of the sandbox's events, as it would be sent now. */
  deliver(eventId: string): Promise<WebhookResult>;
}

/** The subscription services on a sandbox and a memory repository, with a fake clock. */
export interface World extends Process {
  readonly clock: FakeClock;
  readonly sandbox: SandboxProvider;
  readonly repository: MemoryBillingRepository;
  /** Another process on the same data; parts of the ports may be replaced. */
  process(parts?: {
    readonly repository?: Partial<BillingRepository>;
    readonly provider?: Partial<PaymentProvider> | null;
  }): Process;
  /** Goes through checkout, page and webhooks. Returns the subscription's id. */
  subscribe(org: string, tier: string): Promise<string>;
  stored(id: string): Promise<StoredSubscription | null>;
  close(): Promise<void>;
}

export async function createWorld(options: Partial<SandboxOptions> = {}): Promise<World> {
  const clock = fakeClock();
  const repository = memoryBillingRepository({ clock });
  const sandbox = sandboxProvider({ webhookUrl: null, clock, ...options });
  await sandbox.start();
  const ids = ulidIds();

  const process: World['process'] = (parts = {}) => {
    const faults: string[] = [];
    const logs: Process['logs'] = [];
    const counted: Readonly<Record<string, string>>[] = [];
    const log = (level: string) => (message: string, facts?: unknown) =>
      void logs.push({ level, message, facts });
    const dropped: string[] = [];
    const changes: Process['changes'] = [];
    const wiring = {
      catalog: defineCatalog({ devices: capacity() }, TIERS, faults),
      settings: { orgIdPattern: /^[a-z-]+$/, returnOrigins: ['https://app.example.com'] },
      repository: override(repository, parts.repository ?? {}),
      provider: parts.provider === null ? null : override<PaymentProvider>(sandbox, parts.provider ?? {}),
      clock,
      ids,
      logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
      telemetry: {
        ...noTelemetry,
        count: (_: string, __: number, attributes = {}) => void counted.push(attributes),
      },
    } as unknown as Wiring;
    const services = createSubscriptions(
      wiring,
      { drop: (org) => void dropped.push(org) },
      {
        onSubscriptionChanged: (before, after) => void changes.push({ before, after }),
        wait: () => new Promise((resolve) => setTimeout(resolve, 2)),
      },
    );
    const deliver = (eventId: string) => {
      const { bytes, headers } = sandbox.signed(eventId);
      return services.webhook({ provider: 'sandbox', bytes, header: (name) => headers[name] });
    };
    return { ...services, dropped, changes, logs, counted, deliver };
  };

  const main = process();
  return {
    ...main,
    clock,
    sandbox,
    repository,
    process,
    async subscribe(org, tier) {
      const before = new Set(sandbox.events().map(({ id }) => id));
      const { subscription } = await main.checkout({ org, tier, actor: 'alice' });
      const { subscriptionId } = sandbox.confirm(subscription.externalId);
      for (const { id } of sandbox.events()) if (!before.has(id)) await main.deliver(id);
      return subscriptionId ?? '';
    },
    stored: (id) => repository.findSubscription({ provider: 'sandbox', id }),
    close: () => sandbox.close(),
  };
}

/** The object with some of its members replaced; getters stay live. */
function override<T extends object>(base: T, parts: Partial<T>): T {
  return new Proxy(base, {
    get: (target, name) =>
      Object.hasOwn(parts, name) ? Reflect.get(parts, name) : Reflect.get(target, name),
  });
}
