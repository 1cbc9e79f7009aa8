import type { Asked } from './batch.ts';

/** Operations that wait for the next batch, by org, in the order they were asked. */
export interface Queue {
  readonly size: number;
  /** Whether any of them should not wait for company. */
  readonly isUrgent: boolean;
  add(asked: Asked): void;
  /** Takes whole orgs, oldest first, until `most` operations are reached. */
  take(most: number): ReadonlyMap<string, readonly Asked[]>;
  /** Tells every caller that the store is away; keeps what is to be sent all the same. */
  abandon(error: unknown): void;
}

export function createQueue(): Queue {
  let orgs = new Map<string, Asked[]>();
  let size = 0;
  let isUrgent = false;

  function add(asked: Asked): void {
    const list = orgs.get(asked.operation.org);
    if (list) list.push(asked);
    else orgs.set(asked.operation.org, [asked]);
    size += 1;
    isUrgent ||= !asked.operation.isPatient;
  }

  return {
    get size() {
      return size;
    },
    get isUrgent() {
      return isUrgent;
    },
    add,
    take(most) {
      if (size <= most) {
        const all = orgs;
        orgs = new Map();
        size = 0;
        isUrgent = false;
        return all;
      }
      const taken = new Map<string, readonly Asked[]>();
      let count = 0;
      for (const [org, list] of orgs) {
        if (count >= most) break;
        const part = list.splice(0, most - count);
        taken.set(org, part);
        count += part.length;
        if (list.length === 0) orgs.delete(org);
      }
      size -= count;
      return taken;
    },
    abandon(error) {
      const all = [...orgs.values()].flat();
      orgs = new Map();
      size = 0;
      isUrgent = false;
      for (const asked of all) {
        if (!asked.isAbandoned) asked.reject(error);
        asked.isAbandoned = true;
        if (asked.operation.outlivesCaller) add(asked);
      }
    },
  };
}
