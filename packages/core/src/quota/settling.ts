import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Charge, Reservation, SettleAs, SettleListener, SettleOutcome } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';
import { createKeepAlive } from './keep-alive.ts';
import type { Recounts } from './recounts.ts';
import type { Settler, Unawaited } from './reservation-handle.ts';
import type { Snapshots } from './snapshots.ts';

/** Settles reservations in the counter store, and waits for those under way when the engine closes. */
export interface Settling extends Settler {
  /** Resolves when every settle asked for so far has been answered. */
  drain(): Promise<void>;
  close(): void;
}

export function createSettling(
  wiring: Pick<Wiring, 'counters' | 'settings' | 'logger' | 'telemetry' | 'catalog'>,
  snapshots: Snapshots,
  recounts: Pick<Recounts, 'fill'>,
): Settling {
  const { counters, catalog, logger, telemetry } = wiring;
  const leases = createKeepAlive(wiring);
  let underWay = 0;
  const waiting: (() => void)[] = [];

  /** What follows from an outcome; a promise when it takes the store. */
  function heard(
    outcome: SettleOutcome,
    reservation: Reservation,
    as: SettleAs,
    amounts?: readonly number[],
  ): Promise<void> | null {
    if (as !== 'release') snapshots.noteCharged(reservation.org, reservation.charges);
    if (outcome.outcome === 'gone' && as === 'commit') return countLost(reservation, amounts);
    if (outcome.outcome === 'settled' && outcome.overLimit) reportOverLimit(reservation);
    return null;
  }

  function reportOverLimit({ charges }: Reservation): void {
    telemetry.count('tollgate.committed_over_limit', 1);
    logger.warn('units were committed above their limit: their lease had run out before the create ended', {
      keys: charges.map((charge) => charge.key).join(','),
    });
  }

  /** The store lost the reservation with its data, but its rows or events are real: they are counted all the same. */
  async function countLost(reservation: Reservation, amounts?: readonly number[]): Promise<void> {
    const adjustments = reservation.charges.flatMap((charge, i) => {
      const amount = amounts?.[i] ?? charge.amount;
      return amount === 0
        ? []
        : [{ ...counterOf(charge), amount, change: isCapacity(charge) ? 'created' : 'charged' } as const];
    });
    telemetry.count('tollgate.lost_reservations', 1);
    if (adjustments.length === 0) return;
    const { org } = reservation;
    const { missing } = await counters.adjust({ org, adjustments });
    if (missing.length === 0) return;
    // A count that is being taken may be older than these units: they are added to it once it stands.
    await recounts.fill(org, adjustments);
    await counters.adjust({ org, adjustments });
  }

  const isCapacity = (charge: Charge) => catalog.quota(charge.key)?.kind === 'capacity';

  function ended(): void {
    underWay--;
    if (underWay === 0) for (const resolve of waiting.splice(0)) resolve();
  }

  function failed(error: unknown): void {
    ended();
    telemetry.count('tollgate.unsettled', 1);
    logger.warn('a reservation could not be settled; its units are decided when its lease ends', {
      ...describeFailure(error),
    });
  }

  const hooks: Hooks = { heard, ended, failed };

  return {
    settle(reservation, as, amounts) {
      const request = { ...plain(reservation), as };
      const promise = counters
        .settle(amounts === undefined ? request : { ...request, amounts })
        .then(async (outcome) => {
          await heard(outcome, reservation, as, amounts);
          return outcome;
        });
      underWay++;
      promise.then(ended, failed);
      return promise;
    },
    settleUnawaited(reservation, as) {
      const settle = new UnawaitedSettle(reservation, as, hooks);
      underWay++;
      if (counters.settleUnawaited !== undefined) counters.settleUnawaited(reservation, as, settle);
      else {
        counters.settle({ ...plain(reservation), as }).then(
          (outcome) => settle.settled(outcome),
          (error) => settle.failed(error),
        );
      }
      return settle;
    },
    async commitWithin(reservation, transaction, amounts) {
      if (counters.transactions === null) {
        throw new TollgateError('invalid_configuration', {
          message:
            'The counter store cannot commit in a transaction of yours. Use one that is in your own database.',
        });
      }
      const request = { ...plain(reservation), transaction };
      await counters.transactions.commitWithin(amounts === undefined ? request : { ...request, amounts });
    },
    keepAlive: (reservation) => leases.add(reservation),
    letGo: (reservation) => leases.remove(reservation),
    async drain() {
      if (underWay > 0) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    close: () => leases.close(),
  };
}

function plain({ org, id, charges, rememberMs }: Reservation): Reservation {
  return { org, id, charges, rememberMs };
}

interface Hooks {
  heard(outcome: SettleOutcome, reservation: Reservation, as: SettleAs): Promise<void> | null;
  ended(): void;
  failed(error: unknown): void;
}

/** There are thousands a second, and hardly one is ever asked how it ended: no promise is made for one that is not. */
class UnawaitedSettle implements SettleListener, Unawaited {
  readonly as: SettleAs;
  readonly #reservation: Reservation;
  readonly #hooks: Hooks;
  #outcome: SettleOutcome | undefined;
  #error: unknown;
  #tell: (() => void) | undefined;

  constructor(reservation: Reservation, as: SettleAs, hooks: Hooks) {
    this.as = as;
    this.#reservation = reservation;
    this.#hooks = hooks;
  }

  async outcome(): Promise<SettleOutcome> {
    if (this.#outcome === undefined && this.#error === undefined) {
      await new Promise<void>((resolve) => {
        this.#tell = resolve;
      });
    }
    if (this.#outcome === undefined) throw this.#error;
    return this.#outcome;
  }

  settled(outcome: SettleOutcome): void {
    const more = this.#hooks.heard(outcome, this.#reservation, this.as);
    if (more === null) this.#ended(outcome);
    else {
      more.then(
        () => this.#ended(outcome),
        (error) => this.failed(error),
      );
    }
  }

  #ended(outcome: SettleOutcome): void {
    this.#outcome = outcome;
    this.#hooks.ended();
    this.#tell?.();
  }

  failed(error: unknown): void {
    this.#error = error;
    this.#hooks.failed(error);
    this.#tell?.();
  }
}

function counterOf({ key, window, forgetAt }: Charge) {
  return { key, window, forgetAt };
}
