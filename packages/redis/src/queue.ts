import type { Operation } from './operation.ts';
import { NEVER, type OrgState } from './org-states.ts';
import { unavailable } from './unavailable.ts';

/** Operations of one org on their way. */
export interface Portion {
  readonly org: OrgState;
  readonly operations: readonly Operation<unknown>[];
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
  /**
   * Tells callers who asked before an instant, and whom a batch has passed over since, that the store is away; keeps what is to be sent all
   * the same.
   */
  refuseOverdue(overdueAt: number): void;
  /** Tells every caller that the store is away; keeps what is to be sent all the same. */
  abandon(error: unknown): void;
}

export function createQueue(patienceMs: number): Queue {
  let urgent: OrgState[] = [];
  /** In the order in which they fall due. An org that was sent meanwhile has another `dueAt` than its entry, or none. */
  let patient: { readonly org: OrgState; readonly dueAt: number }[] = [];
  let firstPatient = 0;
  let size = 0;
  let due = 0;
  /** The last batch could not take all that was due. */
  let hasLeft = false;

  function add(operation: Operation<unknown>): void {
    const { org } = operation;
    size += 1;
    org.underWay += 1;
    org.waiting.push(operation);
    if (org.isUrgent) {
      due += 1;
      return;
    }
    if (!operation.isPatient || patienceMs === 0) makeUrgent(org);
    else if (org.dueAt === NEVER) {
      org.dueAt = performance.now() + patienceMs;
      patient.push({ org, dueAt: org.dueAt });
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
    if (next === undefined || firstPatient > 1_000) {
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

  /** Takes out what was asked before an instant and is not to outlive its caller; answers whose callers are to be told. */
  function dropOverdue(org: OrgState, overdueAt: number): readonly Operation<unknown>[] {
    // Nobody waits for one that is patient.
    const isOverdue = ({ isPatient, askedAt }: Operation<unknown>) => !isPatient && askedAt <= overdueAt;
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
        let operations = org.waiting;
        if (operations.length <= room) {
          org.waiting = [];
          org.isUrgent = false;
        } else {
          operations = operations.splice(0, room);
          left.push(org);
        }
        taken += 1;
        room -= operations.length;
        if (operations.length > 0) portions.push({ org, operations });
      }
      urgent = taken === urgent.length ? left : [...urgent.slice(taken), ...left];
      hasLeft = urgent.length > 0;
      size -= most - room;
      due -= most - room;
      return portions;
    },
    refuseOverdue(overdueAt) {
      if (!hasLeft) return;
      const overdue = urgent.flatMap((org) =>
        (org.waiting[0]?.askedAt ?? NEVER) <= overdueAt ? dropOverdue(org, overdueAt) : [],
      );
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
        const { waiting } = org;
        org.waiting = [];
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

/** To be called when the queue is in order again: a caller may ask anew at once. */
function refuseAll(operations: readonly Operation<unknown>[], error: unknown): void {
  for (const operation of operations) operation.refuse(error);
}
