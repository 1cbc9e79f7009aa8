import type {
  AuditEntry,
  CheckoutAttempt,
  Customer,
  Degradation,
  EventOutcome,
  InboxEvent,
  Override,
  StoredSubscription,
  UsageSnapshot,
} from '../../ports/billing-repository.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RowAction } from '../../ports/sweep-list.ts';

export interface CheckoutRow {
  attempt: CheckoutAttempt;
  /** While `creating`: until when its caller alone talks to the provider. */
  claimedUntil: number;
}

export interface InboxRow {
  readonly event: InboxEvent;
  /** Null: not done yet. */
  result: EventOutcome | null;
  /** Null: in nobody's hands. */
  token: string | null;
  claimedAt: number;
  claimedUntil: number;
}

export interface SweepRow {
  /** Null: not on the list. */
  dueAt: number | null;
  /** Null: in no sweeper's hands. */
  claimedUntil: number | null;
  fence: number;
}

export type DegradationRow = Omit<Degradation, 'readAt'>;

/** All a repository stores, by name ({@link keyOf} of what identifies a row). */
export interface Tables {
  readonly customers: Map<string, Customer>;
  readonly subscriptions: Map<string, StoredSubscription>;
  readonly checkouts: Map<string, CheckoutRow>;
  readonly inbox: Map<string, InboxRow>;
  readonly overrides: Map<string, Override>;
  readonly degradations: Map<string, DegradationRow>;
  readonly sweeps: Map<string, SweepRow>;
  /** By org, then by resource and id. */
  readonly rowActions: Map<string, Map<string, RowAction>>;
  readonly crossings: Map<string, { readonly spell: number; readonly level: number }>;
  readonly usage: Map<string, UsageSnapshot>;
  /** Its position is its index and one. */
  readonly audit: AuditEntry[];
}

/** What the methods of each concern are made from. They do not wait in the middle: each call is one transaction. */
export interface TableStore {
  readonly tables: Tables;
  readonly clock: Clock;
}

export function emptyTables(): Tables {
  return {
    customers: new Map(),
    subscriptions: new Map(),
    checkouts: new Map(),
    inbox: new Map(),
    overrides: new Map(),
    degradations: new Map(),
    sweeps: new Map(),
    rowActions: new Map(),
    crossings: new Map(),
    usage: new Map(),
    audit: [],
  };
}

/** A name no two different lists of parts share. */
export function keyOf(...parts: readonly (string | boolean | null)[]): string {
  return JSON.stringify(parts);
}

/** Orders by the given texts, one after the other, by code unit. */
export function byTexts<T>(texts: (row: T) => readonly string[]): (a: T, b: T) => number {
  return (a, b) => {
    const [left, right] = [texts(a), texts(b)];
    for (const [index, text] of left.entries()) {
      const other = right[index] ?? '';
      if (text !== other) return text < other ? -1 : 1;
    }
    return 0;
  };
}

/** The rows after `after` in the given order, up to `limit`. */
export function pageOf<T, A>(
  rows: Iterable<T>,
  page: { readonly after: A | null; readonly limit: number; readonly order: (a: T | A, b: T | A) => number },
): T[] {
  const { after, limit, order } = page;
  return [...rows]
    .sort(order)
    .filter((row) => after === null || order(row, after) > 0)
    .slice(0, limit);
}
