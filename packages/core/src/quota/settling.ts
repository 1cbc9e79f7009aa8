import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Charge, Reservation, SettleOutcome } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';
import type { Debts } from './debts.ts';
import { createKeepAlive } from './keep-alive.ts';
import type { SettleHow, Settler } from './reservation-handle.ts';
import type { Snapshots } from './snapshots.ts';

/** Settles reservations in the counter store, and waits for those under way when the engine closes. */
export interface Settling extends Settler {
  /** Reservations of this process whose handlers may be running, of one org. */
  heldBy(org: string): readonly Reservation[];
  /** Resolves when every settle asked for so far has been answered. */
  drain(): Promise<void>;
  close(): void;
}

export function createSettling(
  wiring: Pick<Wiring, 'counters' | 'settings' | 'logger' | 'telemetry' | 'catalog'>,
  snapshots: Snapshots,
  debts: Pick<Debts, 'owe' | 'pay'>,
): Settling {
  const { counters, catalog, logger, telemetry } = wiring;
  const leases = createKeepAlive(wiring);
  let underWay = 0;
  const waiting: (() => void)[] = [];

  function settle(
    reservation: Reservation,
    as: 'commit' | 'release' | 'unknown',
    how: SettleHow,
  ): Promise<SettleOutcome> {
    const { org, id, charges, rememberMs } = reservation;
    const request = { org, id, charges, rememberMs, as, isAwaited: how.isAwaited ?? true };
    const { amounts } = how;
    return counters.settle(amounts === undefined ? request : { ...request, amounts }).then((outcome) => {
      if (as !== 'release') noteMetered(reservation);
      if (outcome.outcome === 'gone' && as === 'commit') {
        telemetry.count('tollgate.lost_reservations', 1);
        // The store lost the reservation with its data, but its rows or events are real: they are counted all the same.
        debts.owe(org, charges, amounts, id);
        return debts.pay(org).then(
          () => outcome,
          () => outcome,
        );
      }
      if (outcome.outcome === 'settled' && outcome.overLimit) reportOverLimit(reservation);
      return outcome;
    });
  }

  function reportOverLimit({ charges }: Reservation): void {
    telemetry.count('tollgate.committed_over_limit', 1);
    logger.warn('units were committed above their limit: their lease had run out before the create ended', {
      keys: charges.map((charge) => charge.key).join(','),
    });
  }

  function noteMetered(reservation: Reservation): void {
    for (const charge of reservation.charges) {
      if (!isCapacity(charge)) {
        snapshots.note(reservation.org, { key: charge.key, window: charge.window, endsAt: charge.forgetAt });
      }
    }
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

  return {
    settle(reservation, as, how = {}) {
      const promise = settle(reservation, as, how);
      underWay++;
      promise.then(ended, failed);
      return promise;
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
    keepAlive: (reservation) => leases.add(reservation),
    letLapse: (reservation) => leases.letLapse(reservation),
    letGo: (reservation) => leases.remove(reservation),
    heldBy: (org) => leases.of(org),
    async drain() {
      if (underWay > 0) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    close: () => leases.close(),
  };
}
