import { TollgateError } from '../errors/tollgate-error.ts';
import type { Charge, Reservation, SettleAs, SettleOutcome } from '../ports/counter-store.ts';
import { Lease } from './keep-alive.ts';
import type {
  CommitAmount,
  InTransaction,
  ReservationHandle,
  ReservationRecord,
  SettledAs,
} from './types.ts';

/** What a handle asks of the gate. */
export interface Settler {
  /** How long, ms, the store is to recognise a reservation that others may settle as well. */
  readonly sharedMs: number;
  /** @param amounts - what is kept of each charge; all by default */
  settle(reservation: Reservation, as: SettleAs, amounts?: readonly number[]): Promise<SettleOutcome>;
  /** Settles all of it for somebody who does not wait; a failure is logged where it is made. Absent: `settle` does as well. */
  settleUnawaited?(reservation: Reservation, as: SettleAs): Unawaited;
  /** Commits inside the host's transaction. */
  commitWithin(reservation: Reservation, transaction: object, amounts?: readonly number[]): Promise<void>;
  keepAlive(lease: Lease): void;
  letLapse(lease: Lease): void;
  letGo(lease: Lease): void;
}

/** A settle that nobody waited for. */
export interface Unawaited {
  readonly as: SettleAs;
  /** For somebody who asks for it after all. */
  outcome(): Promise<SettleOutcome>;
}

const STATE_OF = { commit: 'committed', release: 'released', unknown: 'unknown' } as const;

/** Makes the handle of a reservation. It settles once; what comes later answers how it was settled. */
export function reservationHandle(
  reservation: Reservation,
  settler: Settler,
  repeated = false,
): ReservationHandle {
  return new Handle(reservation, settler, repeated);
}

/** Makes the handle of a reservation that is known from its record: whatever settles it is remembered, since others may have taken it up too. */
export function resumedHandle(record: ReservationRecord, settler: Settler): ReservationHandle {
  return new Handle(record, settler, false, true);
}

/** Settles a reservation for somebody who does not wait for it. A failure is logged where it is made; the lease decides then. */
export function settleUnawaited(
  handle: ReservationHandle & { [UNAWAITED]?: (as: SettleAs) => void },
  as: SettleAs,
): void {
  if (handle[UNAWAITED] !== undefined) handle[UNAWAITED](as);
  // A handle may be a host's own, around ours.
  else settleAwaited(handle, as).catch(ignore);
}

function settleAwaited(handle: ReservationHandle, as: SettleAs): Promise<SettledAs> {
  if (as === 'commit') return handle.commit();
  return as === 'release' ? handle.release() : handle.abandon();
}

/** Registered, so that a guard of one installed copy of this package settles what an engine of another made. */
const UNAWAITED = Symbol.for('@tollgate/settle-unawaited');

const ignore = () => undefined;

class Handle implements ReservationHandle {
  readonly repeated: boolean;
  /** Shared once its record was given away: others may settle it as well. */
  readonly #lease: Lease;
  readonly #settler: Settler;
  /** `run` sees its end, whoever else does not. */
  #isRunning = false;
  #settled: Promise<SettledAs> | null = null;
  #unawaited: Unawaited | null = null;

  constructor(reservation: Reservation, settler: Settler, repeated: boolean, isShared = false) {
    this.repeated = repeated;
    this.#lease = new Lease(reservation);
    this.#lease.isShared = isShared;
    this.#settler = settler;
  }

  get #reservation(): Reservation {
    return this.#lease.reservation;
  }

  get id(): string {
    return this.#reservation.id;
  }

  get org(): string {
    return this.#reservation.org;
  }

  commit(given?: CommitAmount | InTransaction): Promise<SettledAs> {
    if (given === undefined) return this.#settle('commit');
    if (isInTransaction(given)) return this.#commitWithin(given);
    // Checked before it counts as settled: a wrong amount leaves the reservation as it is.
    return this.#settle('commit', this.#amounts(given));
  }

  release(): Promise<SettledAs> {
    return this.#settle('release');
  }

  abandon(): Promise<SettledAs> {
    return this.#settle('unknown');
  }

  async run<T>(create: () => Promise<T> | T): Promise<T> {
    this.#isRunning = true;
    this.keepAlive();
    let made: T;
    try {
      made = await create();
    } catch (error) {
      await this.#settle('unknown').catch(() => undefined);
      throw error;
    }
    // The row is there: failing now would make the caller create it again. The gate counts the units when their lease ends.
    await this.#settle('commit').catch(() => undefined);
    return made;
  }

  keepAlive(): void {
    if (!this.#isSettled) this.#settler.keepAlive(this.#lease);
  }

  letLapse(): void {
    if (!this.#isRunning && !this.#isSettled) this.#settler.letLapse(this.#lease);
  }

  toJSON(): ReservationRecord {
    this.#lease.isShared = true;
    const { org, id, rememberMs, charges } = this.#told();
    return { org, id, rememberMs, charges: charges.map(plainCharge) };
  }

  get #isSettled(): boolean {
    return this.#settled !== null || this.#unawaited !== null;
  }

  /** The reservation as the store is to be told of its end. */
  #told(): Reservation {
    if (!this.#lease.isShared) return this.#reservation;
    return {
      ...this.#reservation,
      rememberMs: Math.max(this.#reservation.rememberMs, this.#settler.sharedMs),
    };
  }

  /** Not settled by this: the transaction may still be rolled back, and what the guard settles after it changes nothing. */
  async #commitWithin({ transaction, amount, ...others }: InTransaction): Promise<SettledAs> {
    // Without it the units would count also where the row is rolled back.
    if (typeof transaction !== 'object' || transaction === null) {
      throw new TollgateError('invalid_configuration', {
        message: 'There is no transaction to commit in: `transaction` is none.',
      });
    }
    // Under a misspelt name, all would be kept.
    const [other] = Object.keys(others);
    if (other !== undefined) {
      throw new TollgateError('invalid_configuration', {
        message: `${other}: is no option of a commit in a transaction. Say what is kept as \`amount\`.`,
      });
    }
    await this.#settler.commitWithin(
      this.#told(),
      transaction,
      amount === undefined ? undefined : this.#amounts(amount),
    );
    return 'committed';
  }

  #amounts(amount: CommitAmount): readonly number[] {
    const { charges } = this.#reservation;
    if (typeof amount === 'object' && amount !== null) checkKeys(Object.keys(amount), charges);
    return charges.map((charge) => partOf(charge, amount));
  }

  #settle(as: SettleAs, amounts?: readonly number[]): Promise<SettledAs> {
    if (this.#settled === null) {
      const unawaited = this.#unawaited;
      if (unawaited === null) this.#settler.letGo(this.#lease);
      this.#settled =
        unawaited === null
          ? this.#settler.settle(this.#told(), as, amounts).then((outcome) => settledAs(outcome, as))
          : unawaited.outcome().then((outcome) => settledAs(outcome, unawaited.as));
    }
    return this.#settled;
  }

  [UNAWAITED](as: SettleAs): void {
    if (this.#isSettled) return;
    if (this.#settler.settleUnawaited === undefined) {
      this.#settle(as).catch(ignore);
      return;
    }
    this.#settler.letGo(this.#lease);
    this.#unawaited = this.#settler.settleUnawaited(this.#told(), as);
  }
}

function isInTransaction(given: CommitAmount | InTransaction): given is InTransaction {
  // A quota key may have this name too, with the amount to keep of it.
  return (
    typeof given === 'object' &&
    given !== null &&
    'transaction' in given &&
    typeof given.transaction !== 'number'
  );
}

function settledAs(outcome: SettleOutcome, as: SettleAs): SettledAs {
  if (outcome.outcome !== 'repeated') return STATE_OF[as];
  return outcome.state === 'committed' || outcome.state === 'released' ? outcome.state : 'unknown';
}

function plainCharge({ key, window, amount, limit, onUnknown, forgetAt }: Charge): Charge {
  return { key, window, amount, limit, onUnknown, forgetAt };
}

/** Under a misspelt key, all would be kept. @throws TollgateError `invalid_amount` */
function checkKeys(keys: readonly string[], charges: readonly Charge[]): void {
  if (keys.every((key) => charges.some((charge) => charge.key === key))) return;
  const reserved = [...new Set(charges.map((charge) => charge.key))].join(', ');
  throw new TollgateError('invalid_amount', {
    message: `Amounts to keep are given by the keys that were reserved: ${reserved}.`,
  });
}

function partOf(charge: Charge, amount: CommitAmount): number {
  const isByKey = typeof amount === 'object' && amount !== null;
  const part = !isByKey ? amount : Object.hasOwn(amount, charge.key) ? amount[charge.key] : charge.amount;
  if (typeof part !== 'number' || !Number.isSafeInteger(part) || part < 0 || part > charge.amount) {
    throw new TollgateError('invalid_amount', {
      message: 'The amount to keep must be a whole number from 0 to what was reserved.',
    });
  }
  return part;
}
