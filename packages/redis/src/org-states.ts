import type { Reservation } from '@tollgate/core';
import type { OrgKeys } from './keys.ts';
import type { Operation } from './operation.ts';

/** A reservation that this process made and has not settled. A class: dead literals in the old generation would retain the reservation. */
export class LiveReservation {
  readonly reservation: Reservation;
  endsAt: number;

  constructor(reservation: Reservation, endsAt: number) {
    this.reservation = reservation;
    this.endsAt = endsAt;
  }
}

export const NEVER = Number.POSITIVE_INFINITY;

/** What this process is doing for one org. A class, so that all have the same hidden class: every create reads one. */
export class OrgState implements OrgKeys {
  readonly tag: number;
  readonly leases: string;
  readonly counters: (window: string) => string;
  /** How many operations are waiting or in flight. */
  underWay = 0;
  /** Operations to be sent, in the order in which they were asked. Maintained by queue.ts, like the next two. */
  waiting: Operation<unknown>[] = [];
  isUrgent = false;
  /** When its first patient operation falls due; NEVER if it has none or is urgent. */
  dueAt = NEVER;
  /** Reasserted to a store that lost them; see live-reservations.ts. */
  readonly live: LiveReservation[] = [];

  constructor({ tag, leases, counters }: OrgKeys) {
    this.tag = tag;
    this.leases = leases;
    this.counters = counters;
  }
}

/** How many idle orgs are kept: bounds memory, whatever ids are asked for. */
const IDLE_ORGS = 10_000;

export interface OrgStates {
  of(org: string): OrgState;
  all(): Iterable<OrgState>;
}

export function createOrgStates(spell: (org: string) => OrgKeys): OrgStates {
  const states = new Map<string, OrgState>();
  let most = IDLE_ORGS;

  function dropIdle(): void {
    for (const [org, { underWay, live }] of states) {
      if (underWay === 0 && live.length === 0) states.delete(org);
    }
    most = states.size + IDLE_ORGS;
  }

  return {
    of(org) {
      const known = states.get(org);
      if (known !== undefined) return known;
      if (states.size >= most) dropIdle();
      const state = new OrgState(spell(org));
      states.set(org, state);
      return state;
    },
    all: () => states.values(),
  };
}
