import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Charge, Reservation, SettleOutcome, SettleRequest } from '../ports/counter-store.ts';
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
    { org, id, charges, rememberMs }: Reservation,
    as: SettleRequest['as'],
    { amounts, isAwaited = true }: SettleHow,
  ): Promise<SettleOutcome> {
    const whole = { org, id, charges, rememberMs, as, isAwaited, onLateAnswer };
    const request = amounts === undefined ? whole : { ...whole, amounts };
    return counters.settle(request).then((outcome) => heard(outcome, request));
  }

  function onLateAnswer(outcome: SettleOutcome, request: SettleRequest): void {
    void heard(outcome, request);
  }

  /** What the store answers: units that it lost, with the reservation or with their counter alone, are real and are counted all the same. */
  function heard(outcome: SettleOutcome, request: SettleRequest): SettleOutcome | Promise<SettleOutcome> {
    const { as, charges } = request;
    if (as !== 'release') noteMetered(request);
    if (outcome.outcome === 'gone' && as === 'commit') {
      telemetry.count('tollgate.lost_reservations', 1);
      return countAnew(outcome, request, () => true);
    }
    if (outcome.outcome !== 'settled') return outcome;
    if (outcome.overLimit) reportOverLimit(request);
    const { missing } = outcome;
    // Rows without a counter are seen by whichever recount comes first.
    return missing === undefined || charges.every(isCapacity)
      ? outcome
      : countAnew(outcome, request, (charge, i) => missing.includes(i) && !isCapacity(charge));
  }

  async function countAnew(
    outcome: SettleOutcome,
    { org, id, charges, amounts }: SettleRequest,
    isLost: (charge: Charge, index: number) => boolean,
  ): Promise<SettleOutcome> {
    const lost = charges.map((charge, i) => (isLost(charge, i) ? (amounts?.[i] ?? charge.amount) : 0));
    debts.owe(org, charges, lost, id);
    // What cannot be paid now stays owed.
    await debts.pay(org).catch(() => undefined);
    return outcome;
  }

  function reportOverLimit({ charges }: SettleRequest): void {
    telemetry.count('tollgate.committed_over_limit', 1);
    logger.warn('units were committed above their limit: their lease had run out before the create ended', {
      keys: charges.map((charge) => charge.key).join(','),
    });
  }

  function noteMetered(reservation: SettleRequest): void {
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
