import type { Reservation } from '@tollgate/core';

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

export function createLiveReservations(): LiveReservations {
  const orgs = new Map<string, Map<string, { readonly reservation: Reservation; endsAt: number }>>();
  let size = 0;

  function remove({ org, id }: { readonly org: string; readonly id: string }): void {
    const own = orgs.get(org);
    if (!own?.delete(id)) return;
    size -= 1;
    if (own.size === 0) orgs.delete(org);
  }

  return {
    get size() {
      return size;
    },
    add(reservation, leaseMs) {
      let own = orgs.get(reservation.org);
      if (own === undefined) {
        own = new Map();
        orgs.set(reservation.org, own);
      }
      if (!own.has(reservation.id)) size += 1;
      own.set(reservation.id, { reservation, endsAt: performance.now() + leaseMs });
    },
    renewed({ org, id }, leaseMs) {
      const live = orgs.get(org)?.get(id);
      if (live) live.endsAt = performance.now() + leaseMs;
    },
    remove,
    tidy() {
      const now = performance.now();
      for (const own of orgs.values()) {
        for (const { reservation, endsAt } of own.values()) if (endsAt <= now) remove(reservation);
      }
    },
    list(org) {
      const now = performance.now();
      const maps = org === undefined ? [...orgs.values()] : [orgs.get(org) ?? new Map()];
      return maps
        .flatMap((own) => [...own.values()])
        .map(({ reservation, endsAt }) => ({ reservation, leftMs: Math.floor(endsAt - now) }))
        .filter(({ leftMs }) => leftMs > 0);
    },
  };
}
