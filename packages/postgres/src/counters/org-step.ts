import { CounterLedger } from '@tollgate/core';
import type { Sql } from '../database/database.ts';
import { changedRows } from './changed-rows.ts';
import { fillLedger, type LedgerRows, rowsOf } from './ledger-rows.ts';
import { type Asked, dropOrg, loadOrgRows, lockOrg, type OrgState, saveOrgRows } from './org-rows.ts';

/** What all steps on counters share. */
export interface CounterTables {
  readonly s: string;
  /** The SQL expression for the time: the database's own clock. */
  readonly now: string;
  readonly lapsedKeepMs: number;
}

const nameOfCounter = (row: LedgerRows['counters'][number]) => JSON.stringify([row.key, row.window_label]);
const nameById = (row: { readonly id: string }) => row.id;

function openLedger(state: OrgState, tables: CounterTables): { ledger: CounterLedger; serial: () => number } {
  let serial = state.serial;
  // A promoted standby may not know the last serials that were given. Its clock is past them.
  const nextSerial = () => {
    serial = Math.max(serial + 1, state.now);
    return serial;
  };
  const ledger = new CounterLedger({ lapsedKeepMs: tables.lapsedKeepMs, nextSerial });
  fillLedger(ledger, state.rows);
  return { ledger, serial: () => serial };
}

/** Reads an org without locking or writing anything. */
export async function peek<T>(
  sql: Sql,
  tables: CounterTables,
  org: string,
  asked: Asked,
  look: (ledger: CounterLedger, now: number) => T,
): Promise<T> {
  const state = await loadOrgRows(sql, tables.s, tables.now, org, asked);
  return look(openLedger(state, tables).ledger, state.now);
}

/** Compares the transaction before and after the lock: if they are two, the host has no transaction open. */
export interface StepTransaction {
  readonly isOpen: boolean;
}

/**
 * Takes one step on an org: locks it, reads it, lets `take` decide, and writes what changed. The decision is made by the same code as in
 * the memory store, so that both give the same answers. The lock lasts until the caller's transaction ends.
 */
export async function step<T>(
  sql: Sql,
  tables: CounterTables,
  org: string,
  asked: Asked,
  take: (ledger: CounterLedger, now: number, transaction: StepTransaction) => T,
): Promise<T> {
  const { s, now } = tables;
  const lock = await lockOrg(sql, s, now, org);
  const state = await loadOrgRows(sql, s, now, org, asked);
  const { ledger, serial } = openLedger(state, tables);
  const before = rowsOf(org, ledger);
  const result = take(ledger, state.now, { isOpen: lock.transaction === state.transaction });
  const after = rowsOf(org, ledger);
  const changes = {
    counters: changedRows(before.counters, after.counters, nameOfCounter),
    reservations: changedRows(before.reservations, after.reservations, nameById),
    settled: changedRows(before.settled, after.settled, nameById),
    adjustments: changedRows(before.adjustments, after.adjustments, nameById),
  };
  const isChanged = Object.values(changes).some(({ saved, gone }) => saved.length + gone.length > 0);
  if (isChanged) await saveOrgRows(sql, s, org, serial(), changes);
  else if (lock.isNew) await dropOrg(sql, s, org);
  return result;
}
