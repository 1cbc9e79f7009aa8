import type { Catalog } from './catalog/catalog.ts';
import type { BillingOptions, LifecycleOptions, OverCapacityOptions, RowCallback } from './options.ts';
import type { Access } from './ports/access.ts';
import type { BillingRepository } from './ports/billing-repository.ts';
import type { Clock, Ids } from './ports/clock.ts';
import type { CounterStore } from './ports/counter-store.ts';
import type { Logger } from './ports/logger.ts';
import type { PaymentProvider } from './ports/payment-provider.ts';
import type { ResourceInventory } from './ports/resource-inventory.ts';
import type { Telemetry } from './ports/telemetry.ts';
import type { OnStoreError } from './quota/types.ts';

/** The checked options that are plain values, with defaults filled in. Names and units as in `BillingOptions`. */
export interface Settings {
  readonly org: BillingOptions['org'];
  readonly orgIdPattern: RegExp;
  readonly deniedStatus: 429 | 402 | 403;
  readonly onStoreError: OnStoreError;
  readonly leaseMs: number;
  readonly maxHeldPerOrg: number;
  readonly limitsTtlMs: number;
  readonly refusalCountMaxAgeMs: number;
  readonly recountEveryMs: number;
  readonly inventoryTimeoutMs: number;
  readonly snapshotEveryMs: number;
  readonly idempotencyMs: number;
  readonly returnOrigins: readonly string[];
  readonly grantingStatuses: ReadonlySet<string>;
  readonly pastDueGraceMs: number;
  readonly subjectTypes: readonly string[];
  /** Null if the lifecycle is off. */
  readonly overCapacity: Required<OverCapacityOptions> | null;
  /** Null if the host does nothing to rows. */
  readonly lifecycle:
    | (Required<Omit<LifecycleOptions, 'remove'>> & { readonly remove: RowCallback | null })
    | null;
  /** Ascending, each once. */
  readonly usageThresholds: readonly number[];
  readonly basePath: string | null;
  readonly maxBodyBytes: number;
  readonly bodyTimeoutMs: number;
  readonly allowedOrigins: readonly string[] | null;
}

/** What every service is built from. */
export interface Wiring {
  readonly catalog: Catalog;
  readonly settings: Settings;
  readonly counters: CounterStore;
  readonly repository: BillingRepository;
  readonly inventory: ResourceInventory;
  readonly access: Access;
  readonly provider: PaymentProvider | null;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
}
