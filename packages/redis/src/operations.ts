import type {
  Adjustment,
  CounterReading,
  CounterRef,
  CounterStore,
  RecountResult,
  RecountToken,
  Reservation,
  ReserveOutcome,
  SettleAs,
  SettleListener,
  SettleOutcome,
  SettleRequest,
} from '@tollgate/core';
import type { BatchWriter } from './batch.ts';
import { adjustedKey, endedKey } from './keys.ts';
import type { LiveReservations } from './live-reservations.ts';
import type { NumberReader } from './number-reader.ts';
import { Operation } from './operation.ts';
import type { OrgState } from './org-states.ts';
import { CHANGE, OPERATION, RESULT } from './protocol.ts';
import { readCount, readList, readReadings, readResult, readState, unexpected } from './results.ts';
import { type Shape, shapeOf, type Terms, termsOf, windowsOf } from './shapes.ts';

type ReserveRequest = Parameters<CounterStore['reserve']>[0];

export class ReserveOperation extends Operation<ReserveOutcome> {
  readonly #request: ReserveRequest;
  readonly #live: LiveReservations;
  readonly #shape: Shape;
  readonly #terms: Terms;

  /** @param live - gets the reservation once it is held and its caller will know */
  constructor(org: OrgState, request: ReserveRequest, live: LiveReservations) {
    super(org);
    this.#request = request;
    this.#live = live;
    this.#shape = shapeOf(request.charges);
    this.#terms = termsOf(request.leaseMs, request.maxHeld, request.rememberMs);
  }

  get windows() {
    return this.#shape.windows;
  }

  override get ownKey() {
    const { id, rememberMs } = this.#request;
    return rememberMs > 0 ? endedKey(this.org, id) : null;
  }

  override get outlivesCaller() {
    return false;
  }

  write(batch: BatchWriter): string {
    const shape = batch.indexOf(this.#shape);
    const id = quoted(this.#request.id);
    if (batch.isUsual(this.#terms)) return `,${shape},${id}`;
    return `,0,${OPERATION.reserve},${shape},${id},${this.#terms.text}`;
  }

  read(numbers: NumberReader): ReserveOutcome {
    const { length } = this.#request.charges;
    const result = readResult(numbers);
    switch (result) {
      case RESULT.done:
        return { outcome: 'reserved', readings: readReadings(numbers, length) };
      case RESULT.denied:
        return { outcome: 'denied', misfits: readList(numbers), readings: readReadings(numbers, length) };
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
  }

  override settled({ outcome }: ReserveOutcome): void {
    if (outcome === 'reserved') this.#live.add(this.org, this.#request, this.#request.leaseMs);
  }

  override undo({ outcome }: ReserveOutcome) {
    return this.isAbandoned && outcome === 'reserved' ? new ForgetOperation(this.org, this.#request) : null;
  }
}

abstract class SettleOperation extends Operation<SettleOutcome> {
  readonly #id: string;
  readonly #shape: Shape;
  readonly #as: SettleAs;
  readonly #rememberMs: number;
  readonly #amounts: readonly number[] | undefined;

  /** @param amounts - the units of each charge that a commit keeps; all by default */
  constructor(org: OrgState, reservation: Reservation, as: SettleAs, amounts?: readonly number[]) {
    super(org);
    this.#id = reservation.id;
    this.#rememberMs = reservation.rememberMs;
    this.#shape = shapeOf(reservation.charges);
    this.#as = as;
    this.#amounts = amounts;
  }

  get windows() {
    return this.#shape.windows;
  }

  override get ownKey() {
    return this.#rememberMs > 0 ? endedKey(this.org, this.#id) : null;
  }

  protected get isCommit() {
    return this.#as === 'commit';
  }

  write(batch: BatchWriter): string {
    const shape = batch.indexOf(this.#shape);
    const id = quoted(this.#id);
    const args = `${shape},${id},${this.#rememberMs}`;
    if (!this.isCommit) return `,0,${OPERATION[this.#as]},${args}`;
    if (this.#amounts !== undefined)
      return `,0,${OPERATION.commitPart},${args},${JSON.stringify(this.#amounts)}`;
    return this.#rememberMs > 0 ? `,0,${OPERATION.commit},${args}` : `,${-shape},${id}`;
  }

  read(numbers: NumberReader): SettleOutcome {
    const result = readResult(numbers);
    switch (result) {
      case RESULT.done:
        return { outcome: 'settled', late: false, overLimit: false };
      case RESULT.late:
        return { outcome: 'settled', late: true, overLimit: numbers.next() === 1 };
      case RESULT.incomplete: {
        const missing = readList(numbers);
        const late = numbers.next() === RESULT.late;
        return { outcome: 'settled', late, overLimit: late && numbers.next() === 1, missing };
      }
      case RESULT.repeated:
        return { outcome: 'repeated', state: readState(numbers) };
      case RESULT.gone:
        return { outcome: 'gone' };
      default:
        throw unexpected(result);
    }
  }
}

export class AwaitedSettleOperation extends SettleOperation {
  readonly #request: SettleRequest;

  constructor(org: OrgState, request: SettleRequest) {
    super(org, request, request.as, request.amounts);
    this.#request = request;
  }

  override settledLate(outcome: SettleOutcome): void {
    this.#request.onLateAnswer?.(outcome);
  }
}

/** A settle whose caller does not await its end. */
export class UnawaitedSettleOperation extends SettleOperation {
  readonly #listener: SettleListener;

  constructor(org: OrgState, reservation: Reservation, as: SettleAs, listener: SettleListener) {
    super(org, reservation, as);
    this.#listener = listener;
  }

  /** Only commits may wait: units that are given back may be what others are waiting for. */
  override get isPatient() {
    return this.isCommit;
  }

  override resolve(outcome: SettleOutcome): void {
    this.#listener.settled(outcome);
  }

  override reject(error: unknown): void {
    this.#listener.failed(error);
  }

  override settledLate(outcome: SettleOutcome): void {
    this.#listener.settled(outcome);
  }
}

/** Releases a reservation whose caller was told that the reserve failed. */
class ForgetOperation extends Operation<void> {
  readonly #id: string;
  readonly #shape: Shape;

  constructor(org: OrgState, { id, charges }: Reservation) {
    super(org);
    this.#id = id;
    this.#shape = shapeOf(charges);
  }

  get windows() {
    return this.#shape.windows;
  }

  write(batch: BatchWriter): string {
    return `,0,${OPERATION.forget},${batch.indexOf(this.#shape)},${quoted(this.#id)}`;
  }

  read(numbers: NumberReader): void {
    if (readResult(numbers) === RESULT.repeated) numbers.next();
  }
}

/** Holds a reservation again that the store may have lost. Answers whether it had. */
export class ReassertOperation extends Operation<boolean> {
  readonly #reservation: Reservation;
  readonly #leaseMs: number;
  readonly #live: LiveReservations;
  readonly #shape: Shape;

  constructor(org: OrgState, reservation: Reservation, leaseMs: number, live: LiveReservations) {
    super(org);
    this.#reservation = reservation;
    this.#leaseMs = leaseMs;
    this.#live = live;
    this.#shape = shapeOf(reservation.charges);
  }

  get windows() {
    return this.#shape.windows;
  }

  write(batch: BatchWriter): string {
    const { id, rememberMs } = this.#reservation;
    const shape = batch.indexOf(this.#shape);
    return `,0,${OPERATION.reassert},${shape},${quoted(id)},${this.#leaseMs},${rememberMs}`;
  }

  read(numbers: NumberReader): boolean {
    return readResult(numbers) === RESULT.done;
  }

  /** If the reservation was settled meanwhile: the settle may have run first, in another batch, and found nothing. */
  override undo(isMade: boolean) {
    return isMade && !this.#live.has(this.org, this.#reservation.id)
      ? new ForgetOperation(this.org, this.#reservation)
      : null;
  }
}

/** An operation made of its JSON arguments and a function that reads its answer. */
class SimpleOperation<T> extends Operation<T> {
  readonly windows: readonly string[];
  readonly #ownKey: string | null;
  readonly #text: string;
  readonly #read: (numbers: NumberReader) => T;
  readonly #outlivesCaller: boolean;

  constructor(
    org: OrgState,
    windows: readonly string[],
    values: readonly unknown[],
    outlivesCaller: boolean,
    read: (numbers: NumberReader) => T,
    ownKey: string | null = null,
  ) {
    super(org);
    this.windows = windows;
    this.#ownKey = ownKey;
    this.#text = `,0,${JSON.stringify(values).slice(1, -1)}`;
    // If callers repeat it while the store is away, only one copy is kept.
    this.#outlivesCaller = outlivesCaller && !org.waiting.some((kept) => this.#isKeptAs(kept));
    this.#read = read;
  }

  #isKeptAs(kept: Operation<unknown>): boolean {
    return kept.isAbandoned && kept instanceof SimpleOperation && kept.#text === this.#text;
  }

  override get ownKey() {
    return this.#ownKey;
  }

  override get outlivesCaller() {
    return this.#outlivesCaller;
  }

  write(): string {
    return this.#text;
  }

  read(numbers: NumberReader): T {
    return this.#read(numbers);
  }
}

export function renewOperation(org: OrgState, id: string, leaseMs: number): Operation<boolean> {
  return new SimpleOperation(
    org,
    [],
    [OPERATION.renew, leaseMs, id],
    true,
    (numbers) => readResult(numbers) === RESULT.done,
  );
}

export function adjustOperation(
  org: OrgState,
  { adjustments, id = '', rememberMs = 0 }: Parameters<CounterStore['adjust']>[0],
): Operation<Awaited<ReturnType<CounterStore['adjust']>>> {
  const values = [OPERATION.adjust, adjustments.map(adjustmentRow), id, rememberMs];
  const read = (numbers: NumberReader) => {
    const result = readResult(numbers);
    return {
      missing: result === RESULT.unknown ? readList(numbers) : [],
      repeated: result === RESULT.repeated,
    };
  };
  const ownKey = id === '' ? null : adjustedKey(org, id);
  // Without an id the store could not tell a caller's next try from our own retry, so only one with an id is retried.
  return new SimpleOperation(org, windowsOf(adjustments), values, id !== '', read, ownKey);
}

function adjustmentRow({ window, key, amount, change, forgetAt }: Adjustment): readonly unknown[] {
  return [window, key, amount, CHANGE[change], forgetAt ?? false];
}

export function readOperation(
  org: OrgState,
  counters: readonly CounterRef[],
): Operation<readonly (CounterReading | null)[]> {
  const values = [OPERATION.read, counters.map(({ window, key }) => [window, key])];
  return new SimpleOperation(org, windowsOf(counters), values, false, (numbers) => {
    readResult(numbers);
    return counters.map(() => readCount(numbers));
  });
}

export function beginRecountOperation(
  org: OrgState,
  counters: readonly CounterRef[],
): Operation<readonly RecountToken[]> {
  const values = [OPERATION.beginRecount, counters.map(({ window, key }) => [window, key])];
  return new SimpleOperation(org, windowsOf(counters), values, false, (numbers) => {
    readResult(numbers);
    return counters.map(({ key, window }) => {
      const token = `${numbers.next()}.${numbers.next()}.${numbers.next()}`;
      return { key, window, token, reading: readCount(numbers) };
    });
  });
}

export function finishRecountOperation(
  org: OrgState,
  { counts }: Parameters<CounterStore['finishRecount']>[0],
): Operation<readonly RecountResult[]> {
  const rows = counts.map(({ window, key, token, count, forgetAt }) => [
    window,
    key,
    ...tokenNumbers(token),
    count,
    forgetAt ?? false,
  ]);
  return new SimpleOperation(org, windowsOf(counts), [OPERATION.finishRecount, rows], false, (numbers) => {
    readResult(numbers);
    return counts.map(({ key, window }) => ({
      key,
      window,
      applied: numbers.next() === 1,
      uncertain: numbers.next(),
    }));
  });
}

/** Stamp, added and removed units. A token that is not ours matches no counter. */
function tokenNumbers(token: string): readonly number[] {
  return /^\d{1,16}\.\d{1,16}\.\d{1,16}$/.test(token) ? token.split('.').map(Number) : [-1, 0, 0];
}

/** An id as JSON. It holds printable characters only. */
function quoted(id: string): string {
  return id.includes('"') || id.includes('\\') ? JSON.stringify(id) : `"${id}"`;
}
