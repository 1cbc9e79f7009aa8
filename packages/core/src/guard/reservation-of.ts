import type { ReservationHandle } from '../quota/types.ts';

/** On the request itself: a WeakMap with an entry a request is work for every garbage collection. */
const RESERVATION = Symbol.for('@tollgate/reservation');

type Holding = object & { [RESERVATION]?: ReservationHandle };

/** Remembers the reservation a framework's request holds. */
export function keepReservation(native: object, reservation: ReservationHandle): void {
  (native as Holding)[RESERVATION] = reservation;
}

/**
 * The reservation that the request's last `requireQuota` made, for handlers that settle by themselves: a batch that created fewer
 * than it asked for, work that goes on after the answer. What the handler settles is not settled again.
 */
export function reservationOf(native: object): ReservationHandle | undefined {
  return (native as Holding | undefined)?.[RESERVATION];
}
