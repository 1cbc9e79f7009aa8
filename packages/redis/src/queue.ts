import type { Operation } from './operation.ts';
import { NEVER, type OrgState } from './org-states.ts';
import { unavailable } from './unavailable.ts';

/** Operations of one org on their way. */
export class Portion {
  readonly org: OrgState;
  readonly operations: readonly Operation<unknown>[];

  constructor(org: OrgState, operations: readonly Operation<unknown>[]) {
    this.org = org;
    this.operations = operations;
  }
}

/**
 * Operations that wait to be sent, by org, in the order they were asked. A patient one waits for an urgent one of its own org, since
 * both together cost little more than one, but only for a while.
 */
export interface Queue {
  size(): number;
  /** How many operations are known to be due. */
  due(): number;
  /** Makes due what has waited long enough. */
  ripen(now: number): void;
  /** When what is patient must go, on the clock of `performance.now()`; Infinity when none waits. */
  ripensAt(): number;
  add(operation: Operation<unknown>): void;
  /**
   * Takes what is due, org by org, until `most` operations are reached; of all orgs when `now` is Infinity. An org of which something is
   * left goes behind the others: who asks without end is not served before who asks once.
   */
  take(most: number, now: number): readonly Portion[];
  /** Tells callers whom a batch passed over so long ago that the store is away; keeps what is to be sent all the same. */
  refuseOverdue(afterMs: number): void;
  /** Tells every caller that the store is away; keeps what is to be sent all the same. */
  abandon(error: unknown): void;
}

/** An org with something patient, when that was asked. */
class Patient {
  readonly org: OrgState;
  readonly dueAt: number;

  constructor(org: OrgState) {
    this.org = org;
    this.dueAt = org.dueAt;
  }
}

export function createQueue(patienceMs: number): Queue {
  let urgent: OrgState[] = [];
  /** In the order in which they fall due. An org that was sent meanwhile has another `dueAt` than its entry, or none. */
  let patient: Patient[] = [];
  let firstPatient = 0;
  let size = 0;
  let due = 0;
  let turns = 0;
  /** The batches that could not take all that was due, up to the last that could: when they left, and who had been asked for by then. */
  let passedOver: { readonly at: number; readonly turn: number }[] = [];

  function add(operation: Operation<unknown>): void {
    const { org } = operation;
    size += 1;
    org.underWay += 1;
    turns += 1;
    operation.turn = turns;
    org.waiting.push(operation);
    if (org.isUrgent) {
      due += 1;
      return;
    }
    if (!operation.isPatient || patienceMs === 0) makeUrgent(org);
    else if (org.dueAt === NEVER) {
      org.dueAt = performance.now() + patienceMs;
      patient.push(new Patient(org));
    }
  }

  function makeUrgent(org: OrgState): void {
    org.isUrgent = true;
    org.dueAt = NEVER;
    urgent.push(org);
    due += org.waiting.length;
  }

  function nextPatient() {
    let next = patient[firstPatient];
    while (next !== undefined && next.org.dueAt !== next.dueAt) {
      firstPatient += 1;
      next = patient[firstPatient];
    }
    if (next === undefined || firstPatient > MOST_PASSED) {
      patient = patient.slice(firstPatient);
      firstPatient = 0;
    }
    return next;
  }

  /** When one has waited all its time, those that have waited half of it go along: else each would be a batch of its own. */
  function ripen(now: number): void {
    if ((nextPatient()?.dueAt ?? NEVER) > now) return;
    const ripeAt = now + patienceMs / 2;
    for (let next = nextPatient(); next !== undefined && next.dueAt <= ripeAt; next = nextPatient()) {
      makeUrgent(next.org);
    }
  }

  /** Takes out what was asked up to a turn and is not to outlive its caller; answers whose callers are to be told. */
  function dropOverdue(org: OrgState, lastTurn: number): readonly Operation<unknown>[] {
    // Nobody waits for one that is patient.
    const isOverdue = ({ isPatient, turn }: Operation<unknown>) => !isPatient && turn <= lastTurn;
    const overdue = org.waiting.filter(isOverdue);
    const kept = org.waiting.filter((operation) => operation.outlivesCaller || !isOverdue(operation));
    const dropped = org.waiting.length - kept.length;
    org.waiting = kept;
    org.underWay -= dropped;
    size -= dropped;
    due -= dropped;
    return overdue;
  }

  return {
    size: () => size,
    due: () => due,
    ripensAt: () => nextPatient()?.dueAt ?? NEVER,
    ripen,
    add,
    take(most, now) {
      ripen(now);
      const portions: Portion[] = [];
      const left: OrgState[] = [];
      let room = most;
      let taken = 0;
      for (const org of urgent) {
        if (room <= 0) break;
        // Taken out of its list, which stays: one that has grown old and is dropped keeps what is in it until the next full collection.
        const operations = org.waiting.splice(0, room);
        if (org.waiting.length > 0) left.push(org);
        else org.isUrgent = false;
        taken += 1;
        room -= operations.length;
        if (operations.length > 0) portions.push(new Portion(org, operations));
      }
      urgent = taken === urgent.length ? left : [...urgent.slice(taken), ...left];
      if (urgent.length > 0) passedOver.push({ at: now, turn: turns });
      else if (passedOver.length > 0) passedOver = [];
      size -= most - room;
      due -= most - room;
      return portions;
    },
    refuseOverdue(afterMs) {
      if (passedOver.length === 0) return;
      const passedAt = performance.now() - afterMs;
      const lastTurn = passedOver.findLast(({ at }) => at <= passedAt)?.turn;
      if (lastTurn === undefined) return;
      passedOver = passedOver.filter(({ at }) => at > passedAt);
      const overdue = urgent.flatMap((org) => dropOverdue(org, lastTurn));
      if (overdue.length > 0)
        refuseAll(overdue, unavailable(new Error('More waits for Redis than it can answer in time.')));
    },
    abandon(error) {
      const orgs = new Set([...urgent, ...patient.slice(firstPatient).map(({ org }) => org)]);
      urgent = [];
      patient = [];
      firstPatient = 0;
      size = 0;
      due = 0;
      const refused: Operation<unknown>[] = [];
      for (const org of orgs) {
        const waiting = org.waiting.splice(0);
        org.isUrgent = false;
        org.dueAt = NEVER;
        for (const operation of waiting) {
          refused.push(operation);
          if (!operation.outlivesCaller) {
            org.underWay -= 1;
            continue;
          }
          size += 1;
          org.waiting.push(operation);
          if (org.isUrgent) due += 1;
          else makeUrgent(org);
        }
      }
      refuseAll(refused, error);
    },
  };
}

/** So many entries that are done with are kept in front of the others. */
const MOST_PASSED = 100;

/** To be called when the queue is in order again: a caller may ask anew at once. */
function refuseAll(operations: readonly Operation<unknown>[], error: unknown): void {
  for (const operation of operations) operation.refuse(error);
}
