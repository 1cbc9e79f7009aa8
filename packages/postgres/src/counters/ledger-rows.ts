import { type CounterLedger, counterName } from '@tollgate/core';

type Counter = CounterLedger['counters'] extends Map<string, infer Value> ? Value : never;
type Open = CounterLedger['live'] extends Map<string, infer Value> ? Value : never;
type Settled = CounterLedger['settled'] extends Map<string, infer Value> ? Value : never;

/** The rows of one org, with the tables' column names. */
export interface LedgerRows {
  readonly counters: readonly CounterRow[];
  readonly reservations: readonly ReservationRow[];
  readonly settled: readonly SettledRow[];
  readonly adjustments: readonly AdjustmentRow[];
}

interface CounterRow {
  readonly org: string;
  readonly key: string;
  readonly window_label: string;
  readonly known: boolean;
  readonly serial: number;
  readonly committed: number;
  readonly uncertain: number;
  /** As digits, since these sums may exceed 2^53-1. */
  readonly added: string;
  readonly removed: string;
  readonly counted_at: number;
  readonly forget_at: number | null;
  readonly mark_ends_at: number;
}

interface ReservationRow {
  readonly org: string;
  readonly id: string;
  readonly lapsed: boolean;
  readonly fingerprint: string;
  readonly remember_ms: number;
  readonly lease_ends_at: number;
  readonly charges: readonly (Omit<Open['charges'][number], 'lapsedAt'> & { readonly lapsedAt: string })[];
}

interface SettledRow {
  readonly org: string;
  readonly id: string;
  readonly fingerprint: string;
  readonly state: Settled['state'];
  readonly ends_at: number;
}

interface AdjustmentRow {
  readonly org: string;
  readonly id: string;
  readonly ends_at: number;
}

/** Fills an empty ledger from stored rows. */
export function fillLedger(ledger: CounterLedger, rows: LedgerRows): void {
  for (const row of rows.counters) {
    const counter: Counter = {
      key: row.key,
      window: row.window_label,
      known: row.known,
      serial: row.serial,
      committed: row.committed,
      uncertain: row.uncertain,
      added: BigInt(row.added),
      removed: BigInt(row.removed),
      countedAt: row.counted_at,
      forgetAt: row.forget_at,
      markEndsAt: row.mark_ends_at,
    };
    ledger.counters.set(counterName(counter), counter);
  }
  for (const row of rows.reservations) {
    const open: Open = {
      id: row.id,
      fingerprint: row.fingerprint,
      rememberMs: row.remember_ms,
      leaseEndsAt: row.lease_ends_at,
      charges: row.charges.map((charge) => ({ ...charge, lapsedAt: BigInt(charge.lapsedAt) })),
    };
    (row.lapsed ? ledger.lapsed : ledger.live).set(open.id, open);
  }
  for (const { id, fingerprint, state, ends_at: endsAt } of rows.settled) {
    ledger.settled.set(id, { fingerprint, state, endsAt });
  }
  for (const { id, ends_at: endsAt } of rows.adjustments) ledger.adjusted.set(id, endsAt);
}

/** A ledger as rows. */
export function rowsOf(org: string, ledger: CounterLedger): LedgerRows {
  const toReservation = (open: Open, lapsed: boolean): ReservationRow => ({
    org,
    id: open.id,
    lapsed,
    fingerprint: open.fingerprint,
    remember_ms: open.rememberMs,
    lease_ends_at: open.leaseEndsAt,
    charges: open.charges.map((charge) => ({ ...charge, lapsedAt: String(charge.lapsedAt) })),
  });
  return {
    counters: [...ledger.counters.values()].map((counter) => ({
      org,
      key: counter.key,
      window_label: counter.window,
      known: counter.known,
      serial: counter.serial,
      committed: counter.committed,
      uncertain: counter.uncertain,
      added: String(counter.added),
      removed: String(counter.removed),
      counted_at: counter.countedAt,
      forget_at: counter.forgetAt,
      mark_ends_at: counter.markEndsAt,
    })),
    reservations: [
      ...[...ledger.live.values()].map((open) => toReservation(open, false)),
      ...[...ledger.lapsed.values()].map((open) => toReservation(open, true)),
    ],
    settled: [...ledger.settled].map(([id, { fingerprint, state, endsAt }]) => ({
      org,
      id,
      fingerprint,
      state,
      ends_at: endsAt,
    })),
    adjustments: [...ledger.adjusted].map(([id, endsAt]) => ({ org, id, ends_at: endsAt })),
  };
}
