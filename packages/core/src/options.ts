import type { QuotaRegistry } from './catalog/quota.ts';
import type { TierDefinition } from './catalog/tier.ts';
import type { Access } from './ports/access.ts';
import type { BillingRepository, SelectionPolicy } from './ports/billing-repository.ts';
import type { Clock, Ids } from './ports/clock.ts';
import type { CounterStore } from './ports/counter-store.ts';
import type { HttpRequest } from './ports/http-message.ts';
import type { Logger } from './ports/logger.ts';
import type { PaymentProvider } from './ports/payment-provider.ts';
import type { ResourceInventory } from './ports/resource-inventory.ts';
import type { Telemetry } from './ports/telemetry.ts';
import type { OnStoreError } from './quota/types.ts';

/** The options of `createBilling`. All of them are checked at start, at once; every fault is named with its cure. */
export interface BillingOptions<K extends string = string> {
  /** What is counted: `{ devices: capacity(), door_opens: metered({ periods: ['day'] }) }`. */
  readonly quotas: QuotaRegistry<K>;
  /** The plans. Exactly one is the default, for orgs without a subscription. */
  readonly tiers: readonly TierDefinition<NoInfer<K>>[];
  /** The host's tables: the truth for capacity keys. */
  readonly inventory: ResourceInventory;
  /** Who calls a billing operation, and whether they may. */
  readonly access: Access;
  /** The payment provider; null if nothing is sold: checkout and portal then answer `provider_not_configured`. */
  readonly provider: PaymentProvider | null;
  /** The counter store. @default counters in this process' memory: limits are then per process, and lost with it */
  readonly counters?: CounterStore;
  /** The store of billing state. @default this process' memory, lost with it */
  readonly repository?: BillingRepository;

  /**
   * The org a guarded request is charged to, taken from what the host's own authentication left on the request. A guard may override it.
   * @default none: every guard then needs its own `org`
   */
  readonly org?: (request: HttpRequest) => string | null | undefined | Promise<string | null | undefined>;
  /** What an org id must match as a whole. @default /^[A-Za-z0-9_-]{1,64}$/ */
  readonly orgIdPattern?: RegExp;
  /**
   * The status of a refused create.
   * @default 429
   */
  readonly deniedStatus?: 429 | 402 | 403;
  /** What guards do while the counter store cannot be asked. @default 'closed' */
  readonly onStoreError?: OnStoreError;
  /** How long units stay held after their process died, ms. @default 30_000 */
  readonly leaseMs?: number;
  /** How many live reservations one org may have at once. @default 1_000 */
  readonly maxHeldPerOrg?: number;
  /** How long another process' change of a plan or override may go unnoticed, ms. @default 5_000 */
  readonly limitsTtlMs?: number;
  /** A create of a capacity key is refused only on a count no older than this, ms. @default 10_000 */
  readonly refusalCountMaxAgeMs?: number;
  /** A count of a capacity key older than this is recounted in the background, ms. @default 300_000 */
  readonly recountEveryMs?: number;
  /** How long the host's inventory may take to count, ms. @default 5_000 */
  readonly inventoryTimeoutMs?: number;
  /** How often metered use is written to the repository, ms: the most that is lost with a counter store. @default 2_000 */
  readonly snapshotEveryMs?: number;
  /** How long an idempotency key, or a reservation whose record was taken, is recognised after its create ended, ms. @default 86_400_000 */
  readonly idempotencyMs?: number;

  /** Origins that a portal's `return_url` may have, such as `https://app.example.com`; http only for loopback. @default none */
  readonly returnOrigins?: readonly string[];
  /** Statuses that grant the subscription's tier. @default ['active', 'trialing'] */
  readonly grantingStatuses?: readonly string[];
  /** How long a past-due subscription still grants its tier, ms. @default 1_209_600_000 (14 days) */
  readonly pastDueGraceMs?: number;
  /** What an override may be for. Those for `org` are limits; others are only stored, and returned by `overrides()`. @default ['org'] */
  readonly subjectTypes?: readonly string[];

  /** The over-capacity lifecycle; false turns it off: every org is then at stage `none`. */
  readonly overCapacity?: false | OverCapacityOptions;
  /** What the host does to rows that are wound down. @default none: rows are picked and shown, but not touched */
  readonly lifecycle?: LifecycleOptions;
  /** Percentages of a limit that raise `usage.threshold` when reached, 1 to 100. @default [80, 100] */
  readonly usageThresholds?: readonly number[];

  /** Where the routes are mounted, for links in answers. @default the mount point of the router that a request passed */
  readonly basePath?: string;
  /** The largest request body, bytes. @default 1_048_576 */
  readonly maxBodyBytes?: number;
  /** How long a request body may take to arrive, ms. @default 10_000 */
  readonly bodyTimeoutMs?: number;
  /** Origins from which browsers may call state-changing routes with a cookie; null accepts any. @default null */
  readonly allowedOrigins?: readonly string[] | null;

  readonly clock?: Clock;
  readonly ids?: Ids;
  /** @default warnings and errors to stderr */
  readonly logger?: Logger;
  /** @default none */
  readonly telemetry?: Telemetry;
}

export interface OverCapacityOptions {
  /** Length of the warned stage, ms. @default 1_209_600_000 (14 days) */
  readonly warnedMs?: number;
  /** Length of the degraded stage, over which the level rises from 0 to 1, ms. @default 1_209_600_000 (14 days) */
  readonly degradedMs?: number;
  /** Policy of an org that chose none. @default 'newest_first' */
  readonly defaultPolicy?: SelectionPolicy;
  /** The longest delay of a request by `friction`, at level 1, ms. @default 2_000 */
  readonly maxDelayMs?: number;
  /** How many requests `friction` may hold at once in this process; others pass without delay. @default 100 */
  readonly maxWaiting?: number;
}

/** The row that a callback is called for. */
export interface RowCallbackRequest {
  readonly org: string;
  /** The row's quota key. */
  readonly resource: string;
  readonly id: string;
  /** The same at every retry of this action on this row; a new one the next time the row is picked. */
  readonly idempotencyKey: string;
  /** Aborted when the time is up: a call that is not done by then counts as failed, and is retried. */
  readonly signal: AbortSignal;
}

/**
 * Does one thing to one row. A retry with the same idempotency key must be harmless: after a crash nobody knows whether the first
 * call was done. Throw if it was not done; the next sweep retries.
 */
export type RowCallback = (request: RowCallbackRequest) => void | Promise<void>;

/**
 * The host's callbacks for winding down, called by sweeps (`billing.startSweeper`, `billing.sweep`). docs/over-capacity.md of the project's
 * repository says when.
 */
export interface LifecycleOptions {
  /** Disables a row, in a way that `restore` can undo completely. */
  readonly suspend: RowCallback;
  /** Enables a row again; also called for a row whose `suspend` may not have completed. */
  readonly restore: RowCallback;
  /** Removes a row that is marked for delete. @default nothing is ever removed */
  readonly remove?: RowCallback;
  /** How long a callback may take, ms. @default 10_000 */
  readonly callbackTimeoutMs?: number;
  /** A row is suspended or removed only if it was due at two looks at least this far apart, ms. @default 600_000 (10 minutes) */
  readonly sightingMs?: number;
}
