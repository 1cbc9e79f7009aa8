import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Charge, Reservation, SettleAs, SettleListener, SettleOutcome } from '../ports/counter-store.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import type { Debts } from './debts.ts';
import { createKeepAlive, type HeldWatch } from './keep-alive.ts';
import type { Settler, Unawaited } from './reservation-handle.ts';
import type { Snapshots } from './snapshots.ts';

/** Settles reservations in the counter store, and waits for settles in flight when the engine closes. */
export interface Settling extends Settler {
  /** Watches an org's reservations in this process whose handlers may be running. */
  watchHeld(org: string): HeldWatch;
  /** Resolves when every settle requested so far has ended. */
  drain(): Promise<void>;
  close(): void;
}

export function createSettling(
  wiring: Pick<Wiring, 'counters' | 'settings' | 'logger' | 'telemetry' | 'catalog'>,
  snapshots: Snapshots,
  debts: Pick<Debts, 'owe' | 'pay'>,
): Settling {
  const { counters, catalog, settings, logger, telemetry } = wiring;
  const leases = createKeepAlive(wiring);
  let round: Round = { underWay: 0, ended: null };
  /** Resolves when the earlier rounds have ended. */
  let drained: Promise<unknown> = Promise.resolve();

  /**
   * Handles an outcome; returns a promise if that takes a call to the store. Units that the store lost, with the reservation or only with
   * their counter, are in use and are counted nevertheless.
   */
  function handleOutcome(settle: Settle, outcome: SettleOutcome): Promise<void> | null {
    const { reservation, as } = settle;
    const { org, charges } = reservation;
    if (as !== 'release') snapshots.noteCharged(org, charges);
    if (outcome.outcome === 'gone' && as !== 'release') {
      telemetry.count('tollgate.lost_reservations', 1);
      return countLost(settle, (charge) => as === 'commit' || charge.onUnknown !== 'release');
    }
    if (outcome.outcome !== 'settled') return null;
    const { overLimit, missing } = outcome;
    if (overLimit) reportOverLimit(reservation);
    // The next recount sees rows whose counter is missing.
    if (missing === undefined || charges.every(isCapacity)) return null;
    return countLost(settle, (charge, i) => missing.includes(i) && !isCapacity(charge));
  }

  /** Counts lost units. What cannot be counted now stays owed. */
  function countLost(
    { reservation: { org, id, charges }, amounts }: Settle,
    isLost: (charge: Charge, index: number) => boolean,
  ): Promise<void> {
    const lost = charges.map((charge, i) => (isLost(charge, i) ? (amounts?.[i] ?? charge.amount) : 0));
    debts.owe(org, charges, lost, id);
    return debts.pay(org).catch(() => undefined);
  }

  function reportOverLimit({ org, charges }: Reservation): void {
    telemetry.count('tollgate.committed_over_limit', 1);
    warnSometimes(
      logger,
      'units were committed above their limit: their lease had run out before the create ended',
      { org, keys: charges.map((charge) => charge.key).join(',') },
    );
  }

  const isCapacity = (charge: Charge) => catalog.quota(charge.key)?.kind === 'capacity';

  function ended(asked: Round): void {
    asked.underWay--;
    if (asked.underWay === 0) asked.ended?.();
  }

  function failed(asked: Round, { org }: Reservation, error: unknown): void {
    ended(asked);
    telemetry.count('tollgate.unsettled', 1);
    warnSometimes(logger, 'a reservation could not be settled; its units are decided when its lease ends', {
      org,
      ...describeFailure(error),
    });
  }

  function settleNow(settle: Settle): void {
    const { org, id, charges, rememberMs } = settle.reservation;
    const { as, amounts } = settle;
    const onOutcome = (outcome: SettleOutcome) => settle.settled(outcome);
    const failed = (error: unknown) => settle.failed(error);
    // Written out, since building the object by spreading others would cost as much as the rest of the settle.
    const request = { org, id, charges, rememberMs, as, onLateAnswer: onOutcome };
    try {
      counters.settle(amounts === undefined ? request : { ...request, amounts }).then(onOutcome, failed);
    } catch (error) {
      failed(error);
    }
  }

  const hooks: Hooks = { handleOutcome, ended, failed };

  return {
    sharedMs: settings.idempotencyMs,
    settle(reservation, as, amounts) {
      const settle = new Settle(reservation, as, amounts, hooks, round);
      round.underWay++;
      settleNow(settle);
      return settle.outcome();
    },
    settleUnawaited(reservation, as) {
      const settle = new Settle(reservation, as, undefined, hooks, round);
      round.underWay++;
      if (counters.settleUnawaited !== undefined) counters.settleUnawaited(reservation, as, settle);
      else settleNow(settle);
      return settle;
    },
    async commitWithin({ org, id, charges, rememberMs }, transaction, amounts) {
      if (counters.transactions === null) {
        throw new TollgateError('invalid_configuration', {
          message:
            'The counter store cannot commit in a transaction of yours. Use one that is in your own database.',
        });
      }
      const request = { org, id, charges, rememberMs, transaction };
      await counters.transactions.commitWithin(amounts === undefined ? request : { ...request, amounts });
    },
    keepAlive: (lease) => leases.add(lease),
    letLapse: (lease) => leases.letLapse(lease),
    letGo: (lease) => leases.remove(lease),
    watchHeld: (org) => leases.watch(org),
    async drain() {
      const asked = round;
      if (asked.underWay > 0) {
        // Settles requested from now on are not waited for: while creates go on, one is always in flight.
        round = { underWay: 0, ended: null };
        const all = new Promise<void>((resolve) => {
          asked.ended = resolve;
        });
        drained = Promise.all([drained, all]);
      }
      await drained;
    },
    close: () => leases.close(),
  };
}

/** The settles requested between one drain and the next. */
interface Round {
  underWay: number;
  ended: (() => void) | null;
}

interface Hooks {
  handleOutcome(settle: Settle, outcome: SettleOutcome): Promise<void> | null;
  ended(asked: Round): void;
  failed(asked: Round, reservation: Reservation, error: unknown): void;
}

/** One settle. There are thousands a second, and hardly any is asked for its outcome: only then a promise is created. */
class Settle implements SettleListener, Unawaited {
  readonly as: SettleAs;
  readonly reservation: Reservation;
  readonly amounts: readonly number[] | undefined;
  readonly #hooks: Hooks;
  readonly #asked: Round;
  #outcome: SettleOutcome | undefined;
  #error: unknown;
  #tell: (() => void) | undefined;

  /** @param amounts - the units kept of each charge; undefined for all */
  constructor(
    reservation: Reservation,
    as: SettleAs,
    amounts: readonly number[] | undefined,
    hooks: Hooks,
    asked: Round,
  ) {
    this.as = as;
    this.reservation = reservation;
    this.amounts = amounts;
    this.#hooks = hooks;
    this.#asked = asked;
  }

  async outcome(): Promise<SettleOutcome> {
    if (!this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#tell = resolve;
      });
    }
    if (this.#outcome === undefined) throw this.#error;
    return this.#outcome;
  }

  settled(outcome: SettleOutcome): void {
    // A store that retries may receive the replies to both attempts.
    if (this.#outcome !== undefined) return;
    let more: Promise<void> | null;
    try {
      more = this.#hooks.handleOutcome(this, outcome);
    } catch (error) {
      this.failed(error);
      return;
    }
    if (more === null) this.#ended(outcome);
    else void more.then(() => this.#ended(outcome));
  }

  #ended(outcome: SettleOutcome): void {
    // A late reply: the caller has already been told of the failure.
    if (this.#isOver) return;
    this.#outcome = outcome;
    this.#hooks.ended(this.#asked);
    this.#tell?.();
  }

  failed(error: unknown): void {
    if (this.#isOver) return;
    this.#error = error;
    this.#hooks.failed(this.#asked, this.reservation, error);
    this.#tell?.();
  }

  get #isOver(): boolean {
    return this.#outcome !== undefined || this.#error !== undefined;
  }
}
