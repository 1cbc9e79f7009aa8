import type { Reservation } from '@tollgate/core';
import { createChurningMap } from './churning-map.ts';

/** The reservations this process made and has not settled: what it tells a store that lost them. */
export interface LiveReservations {
  readonly size: number;
  add(reservation: Reservation, leaseMs: number): void;
  renewed(lease: { readonly org: string; readonly id: string }, leaseMs: number): void;
  remove(lease: { readonly org: string; readonly id: string }): void;
  /** Forgets those whose lease has run out. */
  tidy(): void;
  /** Live ones, of one org or of all, with the time their lease has left, ms. */
  list(org?: string): readonly { readonly reservation: Reservation; readonly leftMs: number }[];
}

/** @param clock - milliseconds of a clock that never goes back; for tests the one the store's script is told. */
export function createLiveReservations(clock: () => number = () => performance.now()): LiveReservations {
  const all = createChurningMap<string, { readonly reservation: Reservation; endsAt: number }>();
  const nameOf = ({ org, id }: { readonly org: string; readonly id: string }) => `${org}\n${id}`;

  return {
    get size() {
      return all.size;
    },
    add(reservation, leaseMs) {
      all.set(nameOf(reservation), { reservation, endsAt: clock() + leaseMs });
    },
    renewed(lease, leaseMs) {
      const live = all.get(nameOf(lease));
      if (live) live.endsAt = clock() + leaseMs;
    },
    remove: (lease) => all.delete(nameOf(lease)),
    tidy() {
      const now = clock();
      for (const [name, { endsAt }] of all.entries()) if (endsAt <= now) all.delete(name);
    },
    list(org) {
      const now = clock();
      return [...all.entries()]
        .map(([, entry]) => entry)
        .filter(({ reservation, endsAt }) => endsAt > now && (org === undefined || reservation.org === org))
        .map(({ reservation, endsAt }) => ({ reservation, leftMs: Math.ceil(endsAt - now) }));
    },
  };
}
