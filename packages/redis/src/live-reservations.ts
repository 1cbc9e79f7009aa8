import type { Reservation } from '@tollgate/core';
import { LiveReservation, type OrgState, type OrgStates } from './org-states.ts';

/** The reservations that this process made and has not settled: it reasserts them to a store that lost them. */
export interface LiveReservations {
  size(): number;
  add(org: OrgState, reservation: Reservation, leaseMs: number): void;
  has(org: OrgState, id: string): boolean;
  /** Undefined also if its lease has run out. */
  get(org: OrgState, id: string): Reservation | undefined;
  renewed(org: OrgState, id: string, leaseMs: number): void;
  /** Returns whether it was there. */
  remove(org: OrgState, id: string): boolean;
  /** Forgets those whose lease has run out. */
  tidy(): void;
  /** Orgs that have any. */
  orgs(): readonly OrgState[];
  /** The live reservations of an org, each with the rest of its lease, ms. */
  list(org: OrgState): readonly { readonly reservation: Reservation; readonly leftMs: number }[];
}

/** @param clock - monotonic, ms; in tests the script's own */
export function createLiveReservations(
  states: OrgStates,
  clock: () => number = () => performance.now(),
): LiveReservations {
  let size = 0;

  /** A linear search: an org has few at a time, and a map that is constantly filled and emptied would cost more. */
  function find({ live }: OrgState, id: string): number {
    let index = live.length - 1;
    while (index >= 0 && live[index]?.reservation.id !== id) index -= 1;
    return index;
  }

  function removeAt({ live }: OrgState, index: number): void {
    const last = live.pop();
    if (last !== undefined && index < live.length) live[index] = last;
    size -= 1;
  }

  const busy = () => [...states.all()].filter(({ live }) => live.length > 0);

  return {
    size: () => size,
    add(org, reservation, leaseMs) {
      // It is here already if the store lost it and a repeat made it again.
      const index = find(org, reservation.id);
      if (index >= 0) removeAt(org, index);
      org.live.push(new LiveReservation(reservation, clock() + leaseMs));
      size += 1;
    },
    has: (org, id) => find(org, id) >= 0,
    get(org, id) {
      const live = org.live[find(org, id)];
      return live !== undefined && live.endsAt > clock() ? live.reservation : undefined;
    },
    renewed(org, id, leaseMs) {
      const live = org.live[find(org, id)];
      if (live !== undefined) live.endsAt = clock() + leaseMs;
    },
    remove(org, id) {
      const index = find(org, id);
      if (index >= 0) removeAt(org, index);
      return index >= 0;
    },
    tidy() {
      const now = clock();
      for (const org of busy()) {
        for (let index = org.live.length - 1; index >= 0; index -= 1) {
          if ((org.live[index]?.endsAt ?? now) <= now) removeAt(org, index);
        }
      }
    },
    orgs: busy,
    list(org) {
      const now = clock();
      return org.live
        .filter(({ endsAt }) => endsAt > now)
        .map(({ reservation, endsAt }) => ({ reservation, leftMs: Math.ceil(endsAt - now) }));
    },
  };
}
