import type {
  Adjustment,
  CounterReading,
  CounterRef,
  CounterStore,
  RecountResult,
  RecountToken,
  Reservation,
  ReservationState,
  ReserveOutcome,
  SettleOutcome,
} from '@tollgate/core';
import type { NumberReader } from './number-reader.ts';
import type { Operation } from './operation.ts';
import { CHANGE, OPERATION, RESULT, STATES } from './protocol.ts';
import { shapeOf, termsOf, windowsOf } from './shape-table.ts';
import { unavailable } from './unavailable.ts';

type ReserveRequest = Parameters<CounterStore['reserve']>[0];
type SettleRequest = Parameters<CounterStore['settle']>[0];

/** @param onReserved - called once it is held and its caller will know */
export function reserveOperation(
  request: ReserveRequest,
  onReserved: (request: ReserveRequest) => void,
): Operation<ReserveOutcome> {
  const { org, id, charges } = request;
  const shape = shapeOf(charges);
  const terms = termsOf(request.leaseMs, request.maxHeld, request.rememberMs);
  return {
    org,
    windows: shape.windows,
    isPatient: false,
    outlivesCaller: false,
    write: (shapes) => [OPERATION.reserve, shapes.indexOf(shape), id, shapes.indexOf(terms)],
    read(numbers) {
      const result = readResult(numbers);
      switch (result) {
        case RESULT.done:
          return { outcome: 'reserved', readings: charges.map(() => readReading(numbers)) };
        case RESULT.denied:
          return {
            outcome: 'denied',
            misfits: readList(numbers),
            readings: charges.map(() => readReading(numbers)),
          };
        case RESULT.unknown:
          return { outcome: 'unknown', missing: readList(numbers) };
        case RESULT.repeated:
          return { outcome: 'repeated', state: readState(numbers) };
        case RESULT.conflict:
          return { outcome: 'conflict' };
        case RESULT.crowded:
          return { outcome: 'crowded' };
        default:
          throw unexpected(result);
      }
    },
    settled: ({ outcome }) => {
      if (outcome === 'reserved') onReserved(request);
    },
    undo: ({ outcome }) => (outcome === 'reserved' ? forgetOperation(request) : undefined),
  };
}

export function settleOperation(request: SettleRequest): Operation<SettleOutcome> {
  const { org, id, charges, as, amounts } = request;
  const shape = shapeOf(charges);
  return {
    org,
    windows: shape.windows,
    isPatient: true,
    outlivesCaller: true,
    write: (shapes) =>
      as === 'commit' && amounts
        ? [OPERATION.commitPart, shapes.indexOf(shape), id, amounts]
        : [OPERATION[as], shapes.indexOf(shape), id],
    read(numbers) {
      const result = readResult(numbers);
      switch (result) {
        case RESULT.done:
          return { outcome: 'settled', late: numbers.next() === 1, overLimit: numbers.next() === 1 };
        case RESULT.repeated:
          return { outcome: 'repeated', state: readState(numbers) };
        case RESULT.gone:
          return { outcome: 'gone' };
        default:
          throw unexpected(result);
      }
    },
  };
}

function forgetOperation({ org, id, charges }: Reservation): Operation<void> {
  const shape = shapeOf(charges);
  return {
    org,
    windows: shape.windows,
    isPatient: false,
    outlivesCaller: true,
    write: (shapes) => [OPERATION.forget, shapes.indexOf(shape), id],
    read(numbers) {
      const result = readResult(numbers);
      if (result === RESULT.done) numbers.next();
      if (result === RESULT.done || result === RESULT.repeated) numbers.next();
    },
  };
}

export function reassertOperation(reservation: Reservation, leaseMs: number): Operation<void> {
  const { org, id, charges, rememberMs } = reservation;
  const shape = shapeOf(charges);
  return {
    org,
    windows: shape.windows,
    isPatient: false,
    outlivesCaller: true,
    write: (shapes) => [OPERATION.reassert, shapes.indexOf(shape), id, leaseMs, rememberMs],
    read: (numbers) => void readResult(numbers),
  };
}

export function renewOperation(lease: { org: string; id: string }, leaseMs: number): Operation<boolean> {
  return {
    org: lease.org,
    windows: [],
    isPatient: false,
    outlivesCaller: true,
    write: () => [OPERATION.renew, leaseMs, lease.id],
    read: (numbers) => readResult(numbers) === RESULT.done,
  };
}

export function adjustOperation(
  request: Parameters<CounterStore['adjust']>[0],
): Operation<Awaited<ReturnType<CounterStore['adjust']>>> {
  const { org, adjustments, id = '', rememberMs = 0 } = request;
  return {
    org,
    windows: windowsOf(adjustments),
    isPatient: false,
    outlivesCaller: true,
    write: () => [OPERATION.adjust, adjustments.map(adjustmentRow), id, rememberMs],
    read(numbers) {
      const result = readResult(numbers);
      return {
        missing: result === RESULT.unknown ? readList(numbers) : [],
        repeated: result === RESULT.repeated,
      };
    },
  };
}

function adjustmentRow({ window, key, amount, change, forgetAt }: Adjustment): readonly unknown[] {
  return [window, key, amount, CHANGE[change], forgetAt ?? false];
}

export function readOperation(request: {
  readonly org: string;
  readonly counters: readonly CounterRef[];
}): Operation<readonly (CounterReading | null)[]> {
  const { org, counters } = request;
  return {
    org,
    windows: windowsOf(counters),
    isPatient: false,
    outlivesCaller: false,
    write: () => [OPERATION.read, counters.map(({ window, key }) => [window, key])],
    read(numbers) {
      readResult(numbers);
      return counters.map(() => (numbers.next() === 1 ? readReading(numbers) : null));
    },
  };
}

export function beginRecountOperation(request: {
  readonly org: string;
  readonly counters: readonly CounterRef[];
}): Operation<readonly RecountToken[]> {
  const { org, counters } = request;
  return {
    org,
    windows: windowsOf(counters),
    isPatient: false,
    outlivesCaller: false,
    write: () => [OPERATION.beginRecount, counters.map(({ window, key }) => [window, key])],
    read(numbers) {
      readResult(numbers);
      return counters.map(({ key, window }) => {
        const known = numbers.next() === 1;
        return { key, window, known, token: `${numbers.next()}.${numbers.next()}.${numbers.next()}` };
      });
    },
  };
}

export function finishRecountOperation(
  request: Parameters<CounterStore['finishRecount']>[0],
): Operation<readonly RecountResult[]> {
  const { org, counts } = request;
  return {
    org,
    windows: windowsOf(counts),
    isPatient: false,
    outlivesCaller: false,
    write: () => [
      OPERATION.finishRecount,
      counts.map(({ window, key, token, count, forgetAt }) => [
        window,
        key,
        ...tokenNumbers(token),
        count,
        forgetAt ?? false,
      ]),
    ],
    read(numbers) {
      readResult(numbers);
      return counts.map(({ key, window }) => ({
        key,
        window,
        applied: numbers.next() === 1,
        uncertain: numbers.next(),
      }));
    },
  };
}

/** Stamp, added and removed units; a token that is none of ours fits no counter. */
function tokenNumbers(token: string): readonly number[] {
  return /^\d{1,16}\.\d{1,16}\.\d{1,16}$/.test(token) ? token.split('.').map(Number) : [-1, 0, 0];
}

function readResult(numbers: NumberReader): number {
  const result = numbers.next();
  if (result === RESULT.refused) throw unavailable(new Error('Redis is over its maxmemory.'));
  if (result === RESULT.unreadable) {
    throw unavailable(
      new Error('A key of this org cannot be read: it has a foreign type, or its slot is being moved.'),
    );
  }
  return result;
}

function readReading(numbers: NumberReader): CounterReading {
  return {
    committed: numbers.next(),
    held: numbers.next(),
    uncertain: numbers.next(),
    countAgeMs: numbers.next(),
  };
}

function readList(numbers: NumberReader): readonly number[] {
  return Array.from({ length: numbers.next() }, () => numbers.next());
}

function readState(numbers: NumberReader): ReservationState {
  const state = STATES[numbers.next()];
  if (state === undefined) throw unexpected(-1);
  return state;
}

function unexpected(result: number): Error {
  return unavailable(new Error(`The batch script answered ${result}, which this operation does not know.`));
}
