import { AsyncResource } from 'node:async_hooks';
import type { Reservation } from '../ports/counter-store.ts';
import type { PlannedCharge } from './charges.ts';
import { countRows } from './count-rows.ts';
import type { HeldWatch } from './keep-alive.ts';

/** A decision on the host's own count, made without any store. */
export interface Headcount {
  /** Positions of the charges that do not fit; empty if admitted. */
  readonly misfits: readonly number[];
  /** Units in use by charge, including those of this create if admitted. */
  readonly counts: readonly number[];
  /** Ends the create, once. From then on its rows are in the host's count. */
  readonly leave: () => void;
}

/** The creates and counts in progress for one key of an org. */
interface Crowd {
  /** Units of creates that were admitted and have not ended. */
  inside: number;
  /** Counts that were begun, and on which not all sharers have decided yet. */
  readonly counts: Set<Count>;
  /** How many counts the host is taking now. */
  underWay: number;
  /** Begins as soon as a count in progress has ended; all creates that arrive until then share it. */
  next: Count | null;
}

/** A count of rows. */
interface Count {
  readonly rows: Promise<number>;
  readonly begin: () => void;
  /** Units of creates that ended since it began, whose rows it may have missed. */
  missed: number;
  /** What the store has admitted before the count began or since: a create that ends while rows are counted may have been missed. */
  held: HeldWatch | null;
  sharers: number;
}

const NOBODY: ReadonlySet<Reservation> = new Set();

/** Concurrent counts of a key, so that single creates need not wait. A count per create would be too much for the host in a crowd. */
const MAX_CONCURRENT = 4;

/**
 * Decides creates of this process on the host's count while the store is away. Exact within the process: what a count may have missed
 * is added to it. Creates of other processes are not seen. No create is decided on a count that began before the create arrived.
 *
 * @param watchHeld - watches an org's reservations in this process that the store admitted and whose handlers may be running
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
    if (crowd.underWay < MAX_CONCURRENT) count.begin();
    else crowd.next = count;
    return { charge, name, crowd, count };
  }

  function prepare(org: string, key: string, name: string, crowd: Crowd): Count {
    let begin = () => {};
    const rows = new Promise<number>((resolve) => {
      // Runs in the request of the first create that waits for it, not of the create whose count ended before: that request may be
      // over, along with the database connection that it counted on.
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

  /** Drops a count that no create is left to decide on. */
  function drop(crowd: Crowd, count: Count): void {
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
          if (count.sharers === 0) drop(crowd, count);
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
