import type { QuotaPeriod, QuotaUnit } from '../catalog/quota.ts';
import type { Charge } from '../ports/counter-store.ts';

/** Where a limit comes from: a live override, the org's own tier, or the default tier (for an org without a subscription). */
export type LimitSource =
  | { readonly kind: 'override'; readonly id: string }
  | { readonly kind: 'tier'; readonly slug: string }
  | { readonly kind: 'default' };

/** A limit with its source; `value: null` is unlimited. */
export interface EffectiveLimit {
  readonly value: number | null;
  readonly source: LimitSource;
}

/** One concrete interval of a period. Instants are epoch ms, and null for `lifetime` and for sessions. */
export interface QuotaWindow {
  /** `lifetime`, `day:2026-04-09`, `week:2026-W15`, `month:2026-04`, `session:<id>`. */
  readonly label: string;
  readonly startsAt: number | null;
  readonly endsAt: number | null;
}

/** Use of one key in one window. */
export interface QuotaUse {
  readonly key: string;
  readonly period: QuotaPeriod;
  readonly unit: QuotaUnit;
  readonly window: QuotaWindow;
  /** Units in use, without those that are only reserved. */
  readonly current: number;
  readonly limit: EffectiveLimit;
}

/** What an org uses, one item per key and period, in the order of the registry. */
export interface UsageReport {
  readonly org: string;
  /** The slug of the tier the limits come from. */
  readonly tier: string;
  readonly items: readonly QuotaUse[];
}

/** Units requested of one key; every window of the key is charged. */
export interface KeyCharge<K extends string = string> {
  readonly key: K;
  /**
   * 1 to 2^53-1.
   * @default 1
   */
  readonly amount?: number;
  /** The session id of a `per_session` key: 1 to 64 of A-Z, a-z, 0-9, `_`, `-`. Required for such a key, ignored by others. */
  readonly session?: string;
}

/**
 * What to do while the counter store cannot be asked: refuse with 503 (`closed`), let through and count later (`open`), or decide on
 * the host's own count of its rows (`recount`). docs/failures.md of the project's repository has the details.
 */
export type OnStoreError = 'closed' | 'open' | 'recount';

export interface ReserveRequest<K extends string = string> {
  readonly org: string;
  /** All of them or none. */
  readonly charges: readonly KeyCharge<K>[];
  /**
   * The caller's id for this create: a retry with the same id takes no second unit.
   * @default a fresh one
   */
  readonly idempotencyKey?: string;
  /**
   * What becomes of metered units if nobody knows how the handler ended. (Units of capacity keys are recounted.)
   * @default 'release'
   */
  readonly onFailure?: 'release' | 'charge';
  /** @default the engine's `onStoreError`, itself 'closed' by default */
  readonly onStoreError?: OnStoreError;
}

/** The state of one charged window at the moment of a decision, for headers and messages. */
export interface QuotaState {
  readonly key: string;
  readonly period: QuotaPeriod;
  readonly unit: QuotaUnit;
  readonly window: QuotaWindow;
  readonly limit: EffectiveLimit;
  /** Units left after the decision; null when unlimited. */
  readonly remaining: number | null;
}

/** The result of a reserve. A denial is a value; a store that cannot be asked is a `TollgateError` `quota_unavailable`. */
export type Admission =
  | {
      readonly admitted: true;
      readonly reservation: ReservationHandle;
      /** The windows that were charged; empty for a repeat, and under `open`. */
      readonly quotas: readonly QuotaState[];
      /** How it was decided: by the store, let through uncounted (`open`), or on the host's own count (`recount`). */
      readonly decidedBy: 'store' | 'open' | 'recount';
      /** True if the idempotency key's create was committed before: nothing is held, and settling changes nothing. */
      readonly repeated: boolean;
    }
  | {
      readonly admitted: false;
      /** The windows that were full. */
      readonly denied: readonly QuotaState[];
      readonly quotas: readonly QuotaState[];
    };

export type SettledAs = 'committed' | 'released' | 'unknown';

/** How much of a reservation is kept: of every key, or by key (keys left out: all). */
export type CommitAmount = number | Readonly<Record<string, number>>;

/** A commit as part of an open transaction of the host. */
export interface InTransaction {
  /** The client on which the transaction is open, of the kind the counter store works with. */
  readonly transaction: object;
  /** @default all */
  readonly amount?: CommitAmount;
}

/** Held units. The first of `commit`, `release` and `abandon` settles them; later calls change nothing and return how it was settled. */
export interface ReservationHandle {
  readonly id: string;
  readonly org: string;
  /** True if the idempotency key's create was committed before: nothing is held, and the handler should return what it made then. */
  readonly repeated: boolean;
  /**
   * Keeps the units: all, or `amount` of every key, or an amount by key (keys left out: all). The rest is given back.
   *
   * With a `transaction` (strict mode, for a store in the host's own database) the units are counted if and only if that open
   * transaction commits. Call it as the last step before the transaction's own commit. The guard still settles afterwards, which then
   * changes nothing.
   * @throws TollgateError `invalid_amount` for more than was reserved, or a key that was not; with a transaction `reservation_lapsed`,
   * after which the host must roll back, and `invalid_configuration` if the store cannot do it.
   */
  commit(amount?: CommitAmount | InTransaction): Promise<SettledAs>;
  /** Gives the units back. Call it only if it is certain that nothing was created. */
  release(): Promise<SettledAs>;
  /** For an unknown outcome: units of capacity keys are recounted before they refuse anybody, metered units follow `onFailure`. */
  abandon(): Promise<SettledAs>;
  /** Runs the create: keeps the lease alive meanwhile, commits if it resolves, abandons if it throws. Settles before it returns. */
  run<T>(create: () => Promise<T> | T): Promise<T>;
  /** Renews the lease until the reservation is settled or `letLapse` is called. `run` does so by itself. */
  keepAlive(): void;
  /** Stops renewing the lease, without settling: the units stay held until the lease ends. A `run` under way still renews it. */
  letLapse(): void;
  /**
   * Everything that another process needs to settle it with `billing.resume(...)`. Call this before the reservation is settled. From then
   * on the first settle counts, by whichever process; for `idempotencyMs` (a day) after it, further settles return how it was settled. The
   * lease continues meanwhile, and ends if neither process renews it (`keepAlive`).
   */
  toJSON(): ReservationRecord;
}

/** A reservation as plain data. */
export interface ReservationRecord {
  readonly org: string;
  readonly id: string;
  readonly rememberMs: number;
  readonly charges: readonly Charge[];
}
