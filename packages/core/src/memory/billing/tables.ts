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
  /** While `creating`: until when its caller has the exclusive claim. */
  claimedUntil: number;
}

export interface InboxRow {
  readonly event: InboxEvent;
  /** Null if it is not done yet. */
  result: EventOutcome | null;
  /** Null if it is not claimed. */
  token: string | null;
  claimedAt: number;
  claimedUntil: number;
}

export interface SweepRow {
  /** Null if it is not on the list. */
  dueAt: number | null;
  /** Null if it is not claimed. */
  claimedUntil: number | null;
  fence: number;
}

export type DegradationRow = Omit<Degradation, 'readAt'>;

/** All that a repository stores, by name ({@link keyOf} of what identifies a row). */
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
  /** An entry's position is its index plus one. */
  readonly audit: AuditEntry[];
}

/** What the methods are created from. They are synchronous, so that each call is one transaction. */
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

/** A name that is unique to its list of parts. */
export function keyOf(...parts: readonly (string | boolean | null)[]): string {
  return JSON.stringify(parts);
}

/** Orders by the given strings, one after the other, by code units. */
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
