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

/** What `createBilling` takes. Everything is checked at once, at start; each fault is named with its cure. */
export interface BillingOptions<K extends string = string> {
  /** What is counted: `{ devices: capacity(), door_opens: metered({ periods: ['day'] }) }`. */
  readonly quotas: QuotaRegistry<K>;
  /** The plans. Exactly one is the default, for orgs without a subscription. */
  readonly tiers: readonly TierDefinition<NoInfer<K>>[];
  /** The host's tables: the truth for capacity keys. */
  readonly inventory: ResourceInventory;
  /** Who calls a billing operation, and may they. */
  readonly access: Access;
  /** The payment company; null when nothing is sold here: checkout and portal then answer `provider_not_configured`. */
  readonly provider: PaymentProvider | null;
  /** @default counters in this process' memory: limits are then per process, and lost with it */
  readonly counters?: CounterStore;
  /** @default billing state in this process' memory, lost with it */
  readonly repository?: BillingRepository;

  /**
   * The org a guarded request is charged to, from whatever the host's own authentication left on the request. A guard may say its own.
   * @default none: every guard must then say `org`
   */
  readonly org?: (request: HttpRequest) => string | null | undefined | Promise<string | null | undefined>;
  /** What the whole of an org id must match. @default /^[A-Za-z0-9_-]{1,64}$/ */
  readonly orgIdPattern?: RegExp;
  /**
   * Status of a refused create.
   * @default 429
   */
  readonly deniedStatus?: 429 | 402 | 403;
  /** @default 'closed' */
  readonly onStoreError?: OnStoreError;
  /** How long a hold outlives a process that died, ms. @default 30_000 */
  readonly leaseMs?: number;
  /** Live reservations one org may have at once. @default 1_000 */
  readonly maxHeldPerOrg?: number;
  /** How long a plan or override changed by another process may go unnoticed, ms. @default 5_000 */
  readonly limitsTtlMs?: number;
  /** A capacity create is refused only on a count no older than this, ms. @default 10_000 */
  readonly refusalCountMaxAgeMs?: number;
  /** A capacity count older than this is taken anew in the background, ms. @default 300_000 */
  readonly recountEveryMs?: number;
  /** How long the host's inventory may take to count, ms. @default 5_000 */
  readonly inventoryTimeoutMs?: number;
  /** Metered use is written to the repository at least this often, ms: what a lost counter store can lose. @default 2_000 */
  readonly snapshotEveryMs?: number;
  /** How long an idempotency key, and a reservation whose record was given away, is recognised after its create ended, ms. @default 86_400_000 */
  readonly idempotencyMs?: number;

  /** Origins a portal `return_url` may have, such as `https://app.example.com`; http only for loopback. @default none */
  readonly returnOrigins?: readonly string[];
  /** Statuses that grant the subscription's tier. @default ['active', 'trialing'] */
  readonly grantingStatuses?: readonly string[];
  /** How long a past-due subscription still grants its tier, ms. @default 1_209_600_000 (14 days) */
  readonly pastDueGraceMs?: number;
  /** What an override may be for. Those of `org` are limits here; others are kept, and answered by `overrides()`. @default ['org'] */
  readonly subjectTypes?: readonly string[];

  /** The over-capacity lifecycle; false turns it off: every org is then at stage `none`. */
  readonly overCapacity?: false | OverCapacityOptions;
  /** What the host does to rows that are wound down. @default none: rows are picked and shown, nothing is done to them */
  readonly lifecycle?: LifecycleOptions;
  /** Percentages of a limit whose crossing `usage.threshold` tells, 1 to 100. @default [80, 100] */
  readonly usageThresholds?: readonly number[];

  /** Where the routes are mounted, for links the server makes up itself. @default the mount point of the router a request passed */
  readonly basePath?: string;
  /** Largest request body, bytes. @default 1_048_576 */
  readonly maxBodyBytes?: number;
  /** A request body must have arrived after this, ms. @default 10_000 */
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
  /** Longest delay that `friction` puts before a request, at level 1, ms. @default 2_000 */
  readonly maxDelayMs?: number;
  /** Requests that `friction` may hold at once in this process; more of them pass undelayed. @default 100 */
  readonly maxWaiting?: number;
}

/** One row and what the host is asked to do to it. */
export interface RowCallbackRequest {
  readonly org: string;
  /** The row's quota key. */
  readonly resource: string;
  readonly id: string;
  /** The same at every repeat of this action on this row; another one the next time the row is picked. */
  readonly idempotencyKey: string;
  /** Aborted when the time is up: what is not done then counts as failed and is repeated. */
  readonly signal: AbortSignal;
}

/**
 * Does one thing to one row. A repeat with the same idempotency key must be harmless: after a crash nobody knows whether the first
 * call was done. Throwing means it was not done; the next sweep tries again.
 */
export type RowCallback = (request: RowCallbackRequest) => void | Promise<void>;

/** The host's part in winding down. Called by sweeps (`billing.startSweeper`, `billing.sweep`); docs/over-capacity.md of the project's repository tells when. */
export interface LifecycleOptions {
  /** Switches a row off for now, so that it can be switched on again whole. */
  readonly suspend: RowCallback;
  /** Switches a row on again; also called for one whose `suspend` was not heard to end. */
  readonly restore: RowCallback;
  /** Removes a row that is marked for delete. @default nothing is ever removed */
  readonly remove?: RowCallback;
  /** How long a callback may take, ms. @default 10_000 */
  readonly callbackTimeoutMs?: number;
  /** A row is suspended or removed only if it was due at two looks at least so far apart, ms. @default 600_000 (10 minutes) */
  readonly sightingMs?: number;
}
