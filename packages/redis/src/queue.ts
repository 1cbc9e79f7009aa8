import type { Operation } from './operation.ts';
import { NEVER, type OrgState } from './org-states.ts';
import { unavailable } from './unavailable.ts';

/** The operations of one org in a batch. */
export class Portion {
  readonly org: OrgState;
  readonly operations: readonly Operation<unknown>[];

  constructor(org: OrgState, operations: readonly Operation<unknown>[]) {
    this.org = org;
    this.operations = operations;
  }
}

/**
 * Operations waiting to be sent, by org, in the order in which they were asked. A patient one waits a limited time for an urgent one of
 * its org, since both sent together cost little more than one.
 */
export interface Queue {
  size(): number;
  /** How many operations are due: those of orgs that have an urgent one, or whose patient ones `ripen` found to have waited long enough. */
  due(): number;
  /** Makes patient operations due that have waited long enough. */
  ripen(now: number): void;
  /** When the next patient operation falls due, on the clock of `performance.now()`; Infinity if none waits. */
  ripensAt(): number;
  add(operation: Operation<unknown>): void;
  /**
   * Takes up to `most` due operations, org by org; all are due if `now` is Infinity. An org with operations left over moves to the end of
   * the line, so that a busy org does not hold up the others.
   */
  take(most: number, now: number): readonly Portion[];
  /** Refuses the callers that a full batch left waiting `afterMs` ago or earlier; keeps operations that outlive their caller. */
  refuseOverdue(afterMs: number): void;
  /** Refuses every caller; keeps operations that outlive their caller. */
  abandon(error: unknown): void;
}

/** An org with a patient operation, and the `dueAt` it had when this entry was made. */
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
  /** In the order in which they fall due. An entry is stale once its org has another `dueAt`. */
  let patient: Patient[] = [];
  let firstPatient = 0;
  let size = 0;
  let due = 0;
  let turns = 0;
  /** The batches since the last that took all that was due: when each left, and the latest `turn` by then. */
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

  /** When one has waited its full time, those that have waited half of it go along: otherwise each would be a batch of its own. */
  function ripen(now: number): void {
    if ((nextPatient()?.dueAt ?? NEVER) > now) return;
    const ripeAt = now + patienceMs / 2;
    for (let next = nextPatient(); next !== undefined && next.dueAt <= ripeAt; next = nextPatient()) {
      makeUrgent(next.org);
    }
  }

  /** Removes operations up to `lastTurn` that do not outlive their caller. Returns all those whose callers must be refused. */
  function dropOverdue(org: OrgState, lastTurn: number): readonly Operation<unknown>[] {
    // No caller waits for a patient one.
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
        // The list is kept: one that was promoted to the old generation and dropped would hold its operations until the next full GC.
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

/** How many stale entries may stay at the head of `patient`. */
const MOST_PASSED = 100;

/** Call it only once the queue is consistent: a refused caller may ask again at once. */
function refuseAll(operations: readonly Operation<unknown>[], error: unknown): void {
  for (const operation of operations) operation.refuse(error);
}
