import { TollgateError } from '../errors/tollgate-error.ts';
import type { Charge, Reservation, SettleOutcome } from '../ports/counter-store.ts';
import type { ReservationHandle, SettledAs } from './types.ts';

/** What a handle asks of the gate. */
export interface Settler {
  settle(
    reservation: Reservation,
    as: 'commit' | 'release' | 'unknown',
    amounts?: readonly number[],
  ): Promise<SettleOutcome>;
  keepAlive(reservation: Reservation): void;
  letGo(reservation: Reservation): void;
}

const STATE_OF = { commit: 'committed', release: 'released', unknown: 'unknown' } as const;

/** Makes the handle of a reservation. It settles once; what comes later answers how it was settled. */
export function reservationHandle(reservation: Reservation, settler: Settler): ReservationHandle {
  let settled: { readonly as: SettledAs; readonly done: Promise<SettledAs> } | null = null;

  function settle(as: 'commit' | 'release' | 'unknown', amounts?: readonly number[]): Promise<SettledAs> {
    if (settled !== null) return settled.done;
    settler.letGo(reservation);
    const done = settler.settle(reservation, as, amounts).then((outcome): SettledAs => {
      if (outcome.outcome !== 'repeated') return STATE_OF[as];
      return outcome.state === 'committed' || outcome.state === 'released' ? outcome.state : 'unknown';
    });
    settled = { as: STATE_OF[as], done };
    return done;
  }

  const handle: ReservationHandle = {
    id: reservation.id,
    org: reservation.org,
    commit: (amount) => {
      if (amount === undefined) return settle('commit');
      // Checked before it counts as settled: a wrong amount leaves the reservation as it is.
      const amounts = reservation.charges.map((charge) => partOf(charge, amount));
      return settle('commit', amounts);
    },
    release: () => settle('release'),
    abandon: () => settle('unknown'),
    async run(create) {
      settler.keepAlive(reservation);
      let made: Awaited<ReturnType<typeof create>>;
      try {
        made = await create();
      } catch (error) {
        await settle('unknown').catch(() => undefined);
        throw error;
      }
      // The row is there: failing now would make the caller create it again. The gate counts the units when their lease ends.
      await settle('commit').catch(() => undefined);
      return made;
    },
    keepAlive: () => {
      if (settled === null) settler.keepAlive(reservation);
    },
    letLapse: () => settler.letGo(reservation),
    toJSON: () => ({
      org: reservation.org,
      id: reservation.id,
      rememberMs: reservation.rememberMs,
      charges: reservation.charges.map(({ key, window, amount, limit, onUnknown, forgetAt }) => ({
        key,
        window,
        amount,
        limit,
        onUnknown,
        forgetAt,
      })),
    }),
  };
  return handle;
}

function partOf(charge: Charge, amount: number | Readonly<Record<string, number>>): number {
  const part =
    typeof amount === 'number'
      ? amount
      : Object.hasOwn(amount, charge.key)
        ? amount[charge.key]
        : charge.amount;
  if (typeof part !== 'number' || !Number.isSafeInteger(part) || part < 0 || part > charge.amount) {
    throw new TollgateError('invalid_amount', {
      message: 'The amount to keep must be a whole number from 0 to what was reserved.',
    });
  }
  return part;
}
