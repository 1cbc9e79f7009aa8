import { systemClock } from '../defaults/system-clock.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Clock } from '../ports/clock.ts';
import type { CounterStore } from '../ports/counter-store.ts';
import {
  checkAdjust,
  checkCounts,
  checkRenew,
  checkReserve,
  checkSettle,
} from '../ports/counter-store-checks.ts';
import { type CounterContents, contentsOf } from './counter-contents.ts';
import { CounterLedger } from './counter-ledger.ts';

/** How often an org is searched for what has expired, ms. */
const TIDY_EVERY_MS = 10_000;

export interface MemoryCounterStoreOptions {
  /** @default the system's clock */
  readonly clock?: Clock;
  /**
   * How long a lapsed reservation is kept for a late commit, ms. After that its uncertain units stay until a recount.
   * @default 600_000
   */
  readonly lapsedKeepMs?: number;
}

/** A counter store with a view behind the port, for tests and debugging. */
export interface MemoryCounterStore extends CounterStore {
  /** All that is stored, as plain data. */
  contents(): CounterContents;
}

/**
 * Counts in this process' memory: the default, and the reference that other stores are compared with.
 * Limits are then per process, and lost with it.
 */
export function memoryCounterStore(options: MemoryCounterStoreOptions = {}): MemoryCounterStore {
  const { clock = systemClock, lapsedKeepMs = 600_000 } = options;
  // Ordered by when they were last tidied.
  const orgs = new Map<string, { readonly ledger: CounterLedger; readonly tidiedAt: number }>();
  let lastSerial = 0;
  let isClosed = false;
  let turn: Promise<void> | undefined;

  /** Runs one step on an org. An org with nothing stored afterwards is dropped. */
  function step<T>(org: string, take: (ledger: CounterLedger, now: number) => T): T {
    if (isClosed) throw new TollgateError('quota_unavailable', { message: 'The counter store is closed.' });
    const now = clock.now();
    const known = orgs.get(org);
    const ledger = known?.ledger ?? new CounterLedger({ lapsedKeepMs, nextSerial: () => ++lastSerial });
    const result = take(ledger, now);
    if (ledger.isEmpty) orgs.delete(org);
    else if (!known) orgs.set(org, { ledger, tidiedAt: now });
    tidyOne(now);
    return result;
  }

  /** Each step also tidies the org that was tidied longest ago, so that memory stays bounded without a timer. */
  function tidyOne(now: number): void {
    const [next] = orgs;
    if (!next || Math.abs(now - next[1].tidiedAt) < TIDY_EVERY_MS) return;
    const [org, { ledger }] = next;
    ledger.tidy(now);
    orgs.delete(org);
    if (!ledger.isEmpty) orgs.set(org, { ledger, tidiedAt: now });
  }

  /** The end of the event loop's turn. Replies resolve together there, so that a caller awaiting many is woken once and not for each. */
  function endOfTurn(): Promise<void> {
    turn ??= new Promise((resolve) => {
      setImmediate(() => {
        turn = undefined;
        resolve();
      });
    });
    return turn;
  }

  return {
    async reserve(request) {
      checkReserve(request);
      const outcome = step(request.org, (ledger, now) => ledger.reserve(request, now));
      await endOfTurn();
      return outcome;
    },
    async settle(request) {
      checkSettle(request);
      return step(request.org, (ledger, now) => ledger.settle(request, now));
    },
    async renew(request) {
      checkRenew(request);
      const { leases, leaseMs } = request;
      return leases.map(({ org, id }) => step(org, (ledger, now) => ledger.renew(id, leaseMs, now)));
    },
    async adjust(request) {
      checkAdjust(request);
      return step(request.org, (ledger, now) => ledger.adjust(request, now));
    },
    async read({ org, counters }) {
      return step(org, (ledger, now) => ledger.read(counters, now));
    },
    async beginRecount({ org, counters }) {
      return step(org, (ledger, now) => ledger.beginRecount(counters, now));
    },
    async finishRecount(request) {
      checkCounts(request);
      return step(request.org, (ledger, now) => ledger.finishRecount(request.counts, now));
    },
    transactions: null,
    async close() {
      isClosed = true;
      orgs.clear();
    },
    contents: () => contentsOf([...orgs].map(([org, { ledger }]) => [org, ledger])),
  };
}
