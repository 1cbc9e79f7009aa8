import type { ReservationHandle } from '../quota/types.ts';

const RESERVATION = Symbol.for('@tollgate/reservation');

type Holding = { [RESERVATION]?: ReservationHandle };

const RESERVATIONS = Symbol.for('@tollgate/reservations');

type Sharing = { [RESERVATIONS]?: WeakMap<object, ReservationHandle> };

/** For requests whose shape must be left alone; collecting it costs more than a property does. Installed copies of this package share it. */
const reservations = (globalThis as Sharing)[RESERVATIONS] ?? new WeakMap<object, ReservationHandle>();
(globalThis as Sharing)[RESERVATIONS] = reservations;

/** Remembers the reservation a framework's request holds, on the request itself. */
export function attachReservation(native: object, reservation: ReservationHandle): void {
  (native as Holding)[RESERVATION] = reservation;
}

/** Remembers it beside the request: Express gives each request a shape of its own, and properties put on those are slow to make. */
export function keepReservation(native: object, reservation: ReservationHandle): void {
  reservations.set(native, reservation);
}

/**
 * The reservation that the request's last `requireQuota` made, for handlers that settle by themselves: a batch that created fewer
 * than it asked for, work that goes on after the answer. What the handler settles is not settled again.
 */
export function reservationOf(native: object): ReservationHandle | undefined {
  return (native as Holding)[RESERVATION] ?? reservations.get(native);
}
