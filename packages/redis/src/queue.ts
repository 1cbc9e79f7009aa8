import type { Asked } from './batch.ts';
import { createChurningMap } from './churning-map.ts';

/**
 * Operations that wait to be sent, by org, in the order they were asked. A patient one waits for an urgent one of its own org, since
 * both together cost little more than one, but only for a while.
 */
export interface Queue {
  readonly size: number;
  /** When a batch must go: 0 at once, Infinity when nothing waits, else on the clock `add` was given. */
  readonly dueAt: number;
  add(asked: Asked, now: number): void;
  /** Takes whole orgs that are due, until `most` operations are reached; all orgs when `now` is Infinity. */
  take(most: number, now: number): ReadonlyMap<string, readonly Asked[]>;
  /** Tells every caller that the store is away; keeps what is to be sent all the same. */
  abandon(error: unknown): void;
}

export function createQueue(patienceMs: number): Queue {
  let urgent = new Map<string, Asked[]>();
  /** In the order in which they fall due. */
  const patient = createChurningMap<string, { readonly dueAt: number; readonly list: Asked[] }>();
  let size = 0;

  function add(asked: Asked, now: number): void {
    const { org, isPatient } = asked.operation;
    size += 1;
    const list = urgent.get(org);
    if (list) {
      list.push(asked);
      return;
    }
    const waiting = patient.get(org);
    if (isPatient && patienceMs > 0) {
      if (waiting) waiting.list.push(asked);
      else patient.set(org, { dueAt: now + patienceMs, list: [asked] });
      return;
    }
    if (waiting) {
      patient.delete(org);
      waiting.list.push(asked);
      urgent.set(org, waiting.list);
    } else urgent.set(org, [asked]);
  }

  function takeAll(): ReadonlyMap<string, readonly Asked[]> {
    const all = urgent;
    urgent = new Map();
    return all;
  }

  return {
    get size() {
      return size;
    },
    get dueAt() {
      if (urgent.size > 0) return 0;
      for (const [, { dueAt }] of patient.entries()) return dueAt;
      return Number.POSITIVE_INFINITY;
    },
    add,
    take(most, now) {
      for (const [org, { dueAt, list }] of patient.entries()) {
        if (dueAt > now) break;
        patient.delete(org);
        urgent.set(org, list);
      }
      let count = 0;
      for (const list of urgent.values()) count += list.length;
      if (count <= most) {
        size -= count;
        return takeAll();
      }
      const taken = new Map<string, readonly Asked[]>();
      count = 0;
      for (const [org, list] of urgent) {
        if (count >= most) break;
        const part = list.splice(0, most - count);
        taken.set(org, part);
        count += part.length;
        if (list.length === 0) urgent.delete(org);
      }
      size -= count;
      return taken;
    },
    abandon(error) {
      const lists = [...[...patient.entries()].map(([, { list }]) => list), ...urgent.values()];
      patient.clear();
      urgent = new Map();
      size = 0;
      for (const asked of lists.flat()) {
        if (!asked.isAbandoned) asked.reject(error);
        asked.isAbandoned = true;
        if (asked.operation.outlivesCaller) add(asked, 0);
      }
    },
  };
}
