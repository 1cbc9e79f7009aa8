import type { Reservation } from '@tollgate/core';
import type { OrgKeys } from './keys.ts';
import type { Operation } from './operation.ts';

/** A reservation this process made and has not settled. A class, as for what waits in queue.ts: a literal's dead ones would keep it. */
export class LiveReservation {
  readonly reservation: Reservation;
  endsAt: number;

  constructor(reservation: Reservation, endsAt: number) {
    this.reservation = reservation;
    this.endsAt = endsAt;
  }
}

export const NEVER = Number.POSITIVE_INFINITY;

/** What this process has to do with one org at the moment. A class, so that all have one shape: they are looked into by every create. */
export class OrgState implements OrgKeys {
  readonly tag: number;
  readonly leases: string;
  readonly counters: (window: string) => string;
  /** How many operations are waiting or in flight. */
  underWay = 0;
  /** Operations to be sent, in the order they were asked; see queue.ts, which keeps these three. */
  waiting: Operation<unknown>[] = [];
  isUrgent = false;
  /** When the first of its patient operations has waited long enough; NEVER when it does not count. */
  dueAt = NEVER;
  /** What is told to a store that lost it; see live-reservations.ts. */
  readonly live: LiveReservation[] = [];

  constructor({ tag, leases, counters }: OrgKeys) {
    this.tag = tag;
    this.leases = leases;
    this.counters = counters;
  }
}

/** How many orgs are kept though nothing is under way: bounds memory whatever ids come. */
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
