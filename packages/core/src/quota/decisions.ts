import { TollgateError } from '../errors/tollgate-error.ts';
import type { CounterReading, Reservation, ReserveOutcome } from '../ports/counter-store.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import type { PlannedCharge } from './charges.ts';
import type { Recounts } from './recounts.ts';

/** A reservation on its way to the store. */
export interface AskedReservation extends Reservation {
  readonly charges: readonly PlannedCharge[];
  readonly leaseMs: number;
  readonly maxHeld: number;
}

/** What the store decided on counts that may be trusted. */
export type Decision = Exclude<ReserveOutcome, { outcome: 'unknown' | 'conflict' | 'crowded' }>;

/** Decides on the store's outcome of a reserve. Before a refusal on a count that is old or uncertain, the host's rows are counted. */
export interface Decisions {
  /**
   * Returns the decision synchronously if the store's outcome is enough, as it nearly always is; else a promise.
   *
   * @param outcome - the store's reply
   * @throws TollgateError `quota_unavailable`, `reservation_conflict`, `too_many_pending`, in the promise
   */
  judge(asked: AskedReservation, outcome: ReserveOutcome): Decision | Promise<Decision>;
}

/** How many times the store is asked before its outcome is final. One of these attempts may have overtaken the count it waited for. */
const MAX_ROUNDS = 5;

export function createDecisions(
  { counters, settings, logger, telemetry }: Pick<Wiring, 'counters' | 'settings' | 'logger' | 'telemetry'>,
  recounts: Recounts,
): Decisions {
  function judge(asked: AskedReservation, outcome: ReserveOutcome): Decision | Promise<Decision> {
    if (outcome.outcome !== 'reserved') return decide(asked, outcome);
    refreshOldCounts(asked, outcome.readings);
    return outcome;
  }

  async function decide(asked: AskedReservation, first: ReserveOutcome): Promise<Decision> {
    let hasFilled = false;
    /** Positions whose rows were counted for this create. */
    const counted = new Set<number>();
    for (let round = 1; ; round++) {
      const outcome = round === 1 ? first : await counters.reserve(asked);
      switch (outcome.outcome) {
        case 'reserved':
          refreshOldCounts(asked, outcome.readings);
          return outcome;
        case 'repeated':
          return outcome;
        case 'conflict':
          throw new TollgateError('reservation_conflict');
        case 'crowded':
          telemetry.count('tollgate.crowded', 1);
          warnSometimes(
            logger,
            'An org has as many creates running as it may, and more are refused. Look for handlers that hang.',
            { org: asked.org, maxHeldPerOrg: asked.maxHeld },
          );
          throw new TollgateError('too_many_pending', { retryAfterSeconds: 1 });
        case 'unknown':
          if (round === MAX_ROUNDS) {
            const cause = forgotten(pick(asked.charges, outcome.missing));
            throw new TollgateError('quota_unavailable', { cause, retryAfterSeconds: 1 });
          }
          // The next attempt follows right behind the count, which saves a round trip. If it overtakes the count, the one after waits.
          await (hasFilled ? recounts.fill : recounts.fillAhead)(
            asked.org,
            pick(asked.charges, outcome.missing),
          );
          hasFilled = true;
          break;
        case 'denied': {
          const doubtful = outcome.misfits.filter((i) =>
            isDoubtful(asked.charges[i], outcome.readings[i], counted.has(i)),
          );
          if (doubtful.length === 0 || round === MAX_ROUNDS) return outcome;
          const targets = pick(asked.charges, doubtful).map((charge) => ({
            ...charge,
            isTooOld: (reading: CounterReading) => isDoubtful(charge, reading, false),
          }));
          await recounts.run(asked.org, targets);
          for (const i of doubtful) counted.add(i);
          break;
        }
      }
    }
  }

  /** A capacity key refuses only on a count that is fresh and certain. */
  function isDoubtful(
    charge: PlannedCharge | undefined,
    reading: CounterReading | undefined,
    isCounted: boolean,
  ): boolean {
    if (charge?.quota.kind !== 'capacity' || reading === undefined || charge.limit === null) return false;
    // More than the limit itself: no count of rows would admit it.
    if (charge.amount > charge.limit) return false;
    const isOld = !isCounted && reading.countAgeMs > settings.refusalCountMaxAgeMs;
    const fitsWithoutDoubt = reading.committed + reading.held + charge.amount <= charge.limit;
    return isOld || (reading.uncertain > 0 && fitsWithoutDoubt);
  }

  function refreshOldCounts({ org, charges }: AskedReservation, readings: readonly CounterReading[]): void {
    for (let i = 0; i < charges.length; i++) {
      const charge = charges[i];
      const reading = readings[i];
      if (charge?.quota.kind !== 'capacity' || reading === undefined) continue;
      const isTooOld = ({ countAgeMs }: CounterReading) => countAgeMs > settings.recountEveryMs;
      if (isTooOld(reading)) recounts.runInBackground(org, [{ ...charge, isTooOld }]);
    }
  }

  return { judge };
}

function pick(charges: readonly PlannedCharge[], positions: readonly number[]): readonly PlannedCharge[] {
  return positions.flatMap((i) => charges[i] ?? []);
}

function forgotten(charges: readonly PlannedCharge[]): Error {
  const names = charges.map(({ key, window }) => `${key} ${window}`).join(', ');
  const isOfTime = charges.some(({ forgetAt }) => forgetAt !== null);
  const why = isOfTime ? "it loses data, or this process' clock is days behind the store's" : 'it loses data';
  return new Error(`The counter store forgets the count of ${names} as soon as it is taken: ${why}.`);
}
