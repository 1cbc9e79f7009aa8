import { AsyncResource } from 'node:async_hooks';
import type { Reservation } from '../ports/counter-store.ts';
import type { PlannedCharge } from './charges.ts';
import { countRows } from './count-rows.ts';
import type { HeldWatch } from './keep-alive.ts';

/** A decision on the host's own count, made without any store. */
export interface Headcount {
  /** Positions of the charges that do not fit; empty when let in. */
  readonly misfits: readonly number[];
  /** Units in use by charge, those of this create included when let in. */
  readonly counts: readonly number[];
  /** Ends the create, once; its rows are in the host's count from then on. */
  readonly leave: () => void;
}

/** What goes on under one key of an org. */
interface Crowd {
  /** Units of creates that were let in and have not ended. */
  inside: number;
  /** Begun, and not yet decided upon by all who share them. */
  readonly counts: Set<Count>;
  /** How many the host is being asked for. */
  underWay: number;
  /** Begins as soon as one under way has ended: whoever comes until then shares it. */
  next: Count | null;
}

/** A count of rows. */
interface Count {
  readonly rows: Promise<number>;
  readonly begin: () => void;
  /** Units of creates that ended since it began: it may not have seen their rows. */
  missed: number;
  /** What the store had let in when it began, or has since. One that ends while the rows are counted may have been missed by the count. */
  held: HeldWatch | null;
  sharers: number;
}

const NOBODY: ReadonlySet<Reservation> = new Set();

/** So many counts of a key are asked for at once, for creates that come alone. Each of a crowd of its own would be too much for the host. */
const AT_ONCE = 4;

/**
 * Decides creates of this process on the host's count while the store is away. Exact within the process: a count takes with it what it
 * may have missed. Other processes are not seen. None is decided on a count that began before it came.
 *
 * @param watchHeld - watches the reservations of this process that the store lets in and whose handlers may be running, of one org
 */
export function createHeadcounts(
  wiring: Parameters<typeof countRows>[0],
  watchHeld: (org: string) => HeldWatch,
): {
  enter(org: string, charges: readonly PlannedCharge[]): Promise<Headcount>;
} {
  const crowds = new Map<string, Crowd>();

  function share(org: string, charge: PlannedCharge) {
    const name = `${org}\n${charge.key}`;
    const crowd = crowds.get(name) ?? { inside: 0, counts: new Set(), underWay: 0, next: null };
    crowds.set(name, crowd);
    const count = crowd.next ?? prepare(org, charge.key, name, crowd);
    count.sharers += 1;
    if (crowd.underWay < AT_ONCE) count.begin();
    else crowd.next = count;
    return { charge, name, crowd, count };
  }

  function prepare(org: string, key: string, name: string, crowd: Crowd): Count {
    let begin = () => {};
    const rows = new Promise<number>((resolve) => {
      // In the request of the first that waits for it, whoever's count had to end before: that one's may be over, with the connection it counted on.
      begin = AsyncResource.bind(() => {
        crowd.underWay += 1;
        crowd.counts.add(count);
        count.held = watchHeld(org);
        resolve(countRows(wiring, org, key).finally(() => ended(name, crowd)));
      });
    });
    const count: Count = { rows, begin, missed: 0, held: null, sharers: 0 };
    return count;
  }

  function ended(name: string, crowd: Crowd): void {
    crowd.underWay -= 1;
    const { next } = crowd;
    crowd.next = null;
    next?.begin();
    tidy(name, crowd);
  }

  /** Nobody is left to decide upon it. */
  function leaveAlone(crowd: Crowd, count: Count): void {
    crowd.counts.delete(count);
    count.held?.end();
    if (crowd.next === count) crowd.next = null;
  }

  function tidy(name: string, { inside, counts, underWay }: Crowd): void {
    if (inside === 0 && counts.size === 0 && underWay === 0) crowds.delete(name);
  }

  return {
    async enter(org, charges) {
      const asked = charges.map((charge) => share(org, charge));
      try {
        const rows = await Promise.all(asked.map(({ count }) => count.rows));
        const used = asked.map(
          ({ charge, crowd, count }, i) =>
            (rows[i] ?? 0) + crowd.inside + count.missed + unitsOf(charge, count.held?.seen ?? NOBODY),
        );
        const counts = charges.map(({ amount }, i) => (used[i] ?? 0) + amount);
        const misfits = charges.flatMap(({ limit }, i) =>
          limit !== null && (counts[i] ?? 0) > limit ? [i] : [],
        );
        if (misfits.length > 0) return { misfits, counts: used, leave: () => undefined };
        for (const { charge, crowd } of asked) crowd.inside += charge.amount;
        let isInside = true;
        const leave = () => {
          if (!isInside) return;
          isInside = false;
          for (const { charge, name, crowd } of asked) {
            crowd.inside -= charge.amount;
            for (const count of crowd.counts) count.missed += charge.amount;
            tidy(name, crowd);
          }
        };
        return { misfits, counts, leave };
      } finally {
        for (const { name, crowd, count } of asked) {
          count.sharers -= 1;
          if (count.sharers === 0) leaveAlone(crowd, count);
          tidy(name, crowd);
        }
      }
    },
  };
}

function unitsOf({ key }: PlannedCharge, held: ReadonlySet<Reservation>): number {
  let units = 0;
  for (const { charges } of held) {
    for (const charge of charges) if (charge.key === key) units += charge.amount;
  }
  return units;
}
