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

/** What a handle needs from the gate. */
export interface Settler {
  /** How long the store must recognise a reservation that others may settle as well, ms. */
  readonly sharedMs: number;
  /** @param amounts - the units kept of each charge; all by default */
  settle(reservation: Reservation, as: SettleAs, amounts?: readonly number[]): Promise<SettleOutcome>;
  /** Settles all units for a caller that does not wait; a failure is logged where it occurs. If absent, `settle` is used. */
  settleUnawaited?(reservation: Reservation, as: SettleAs): Unawaited;
  /** Commits inside the host's transaction. */
  commitWithin(reservation: Reservation, transaction: object, amounts?: readonly number[]): Promise<void>;
  keepAlive(lease: Lease): void;
  letLapse(lease: Lease): void;
  letGo(lease: Lease): void;
}

/** A settle that its caller did not wait for. */
export interface Unawaited {
  readonly as: SettleAs;
  /** The outcome, for a later call that asks for it after all. */
  outcome(): Promise<SettleOutcome>;
}

const STATE_OF = { commit: 'committed', release: 'released', unknown: 'unknown' } as const;

/** Creates the handle of a reservation. It settles once; later calls return how it was settled. */
export function reservationHandle(
  reservation: Reservation,
  settler: Settler,
  repeated = false,
): ReservationHandle {
  return new Handle(reservation, settler, repeated);
}

/** Creates the handle of a reservation known from its record. Its settle is remembered, since others may have resumed it too. */
export function resumedHandle(record: ReservationRecord, settler: Settler): ReservationHandle {
  return new Handle(record, settler, false, true);
}

/** Settles a reservation for a caller that does not wait. A failure is logged where it occurs; then the end of the lease decides. */
export function settleUnawaited(
  handle: ReservationHandle & { [UNAWAITED]?: (as: SettleAs) => void },
  as: SettleAs,
): void {
  if (handle[UNAWAITED] !== undefined) handle[UNAWAITED](as);
  // A host may have wrapped the handle in one of its own.
  else settleAwaited(handle, as).catch(ignore);
}

function settleAwaited(handle: ReservationHandle, as: SettleAs): Promise<SettledAs> {
  if (as === 'commit') return handle.commit();
  return as === 'release' ? handle.release() : handle.abandon();
}

/** From the global registry, so that a guard of one installed copy of this package can settle a reservation made by another copy. */
const UNAWAITED = Symbol.for('@tollgate/settle-unawaited');

const ignore = () => undefined;

class Handle implements ReservationHandle {
  readonly repeated: boolean;
  /** Marked as shared once its record was given out, since others may settle it as well. */
  readonly #lease: Lease;
  readonly #settler: Settler;
  /** Whether `run` is in progress: it sees the end of the create even if nobody else does. */
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
    // Checked before anything is settled, so that a wrong amount leaves the reservation as it is.
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
    // The row exists: a failure now would make the caller create it again. The units are decided when the lease ends.
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
    const { org, id, rememberMs, charges } = this.#settleTarget();
    return { org, id, rememberMs, charges: charges.map(plainCharge) };
  }

  get #isSettled(): boolean {
    return this.#settled !== null || this.#unawaited !== null;
  }

  /** The reservation as passed to the store for a settle. */
  #settleTarget(): Reservation {
    if (!this.#lease.isShared) return this.#reservation;
    return {
      ...this.#reservation,
      rememberMs: Math.max(this.#reservation.rememberMs, this.#settler.sharedMs),
    };
  }

  /** Does not settle: the transaction may still be rolled back, and if it commits, the guard's settle afterwards changes nothing. */
  async #commitWithin({ transaction, amount, ...others }: InTransaction): Promise<SettledAs> {
    // Without a transaction the units would count even if the row is rolled back.
    if (typeof transaction !== 'object' || transaction === null) {
      throw new TollgateError('invalid_configuration', {
        message: 'There is no transaction to commit in: `transaction` is none.',
      });
    }
    // Under a misspelt name, all units would be kept.
    const [other] = Object.keys(others);
    if (other !== undefined) {
      throw new TollgateError('invalid_configuration', {
        message: `${other}: is no option of a commit in a transaction. Say what is kept as \`amount\`.`,
      });
    }
    await this.#settler.commitWithin(
      this.#settleTarget(),
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
          ? this.#settler.settle(this.#settleTarget(), as, amounts).then((outcome) => settledAs(outcome, as))
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
    this.#unawaited = this.#settler.settleUnawaited(this.#settleTarget(), as);
  }
}

function isInTransaction(given: CommitAmount | InTransaction): given is InTransaction {
  // A quota key may also be called `transaction`, with the amount to keep of it.
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

/** Under a misspelt key, all units would be kept. @throws TollgateError `invalid_amount` */
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
