import type { ReservationHandle } from '../quota/types.ts';

const RESERVATION = Symbol.for('@tollgate/reservation');

type Holding = { [RESERVATION]?: ReservationHandle };

const RESERVATIONS = Symbol.for('@tollgate/reservations');

type Sharing = { [RESERVATIONS]?: WeakMap<object, ReservationHandle> };

/** For requests that must keep their shape; it costs the collector more than a property. All installed copies of this package share it. */
const reservations = (globalThis as Sharing)[RESERVATIONS] ?? new WeakMap<object, ReservationHandle>();
(globalThis as Sharing)[RESERVATIONS] = reservations;

/** Stores a request's reservation on the framework's request itself. */
export function attachReservation(native: object, reservation: ReservationHandle): void {
  (native as Holding)[RESERVATION] = reservation;
}

/** Stores it beside the request: Express gives each request a hidden class of its own, to which adding properties is slow. */
export function keepReservation(native: object, reservation: ReservationHandle): void {
  reservations.set(native, reservation);
}

/**
 * The reservation of the request's last `requireQuota`, for handlers that settle it themselves: a batch that created fewer rows than it
 * reserved, or work that goes on after the response. What the handler has settled is not settled again.
 */
export function reservationOf(native: object): ReservationHandle | undefined {
  return (native as Holding)[RESERVATION] ?? reservations.get(native);
}
