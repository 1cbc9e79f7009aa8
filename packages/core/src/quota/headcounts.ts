import type { Reservation } from '../ports/counter-store.ts';
import type { PlannedCharge } from './charges.ts';
import { countRows } from './count-rows.ts';

/** A decision on the host's own count, made without any store. */
export interface Headcount {
  /** Positions of the charges that do not fit; empty when let in. */
  readonly misfits: readonly number[];
  /** Units in use by charge, those of this create included when let in. */
  readonly counts: readonly number[];
  /** Ends the create, once; its rows are in the host's count from then on. */
  readonly leave: () => void;
}

interface Crowd {
  /** Units of creates that were let in and have not ended. */
  inside: number;
  readonly counts: Set<Count>;
}

/** A count of rows that is under way. */
interface Count {
  /** Units of creates that ended meanwhile: it may not have seen their rows. */
  missed: number;
}

/**
 * Decides creates of this process on the host's count while the store is away. Exact within the process: a count takes with it what it
 * may have missed. Other processes are not seen.
 *
 * @param heldBy - the reservations of this process that the store let in and whose handlers may be running, of one org
 */
export function createHeadcounts(
  wiring: Parameters<typeof countRows>[0],
  heldBy: (org: string) => readonly Reservation[],
): {
  enter(org: string, charges: readonly PlannedCharge[]): Promise<Headcount>;
} {
  const crowds = new Map<string, Crowd>();

  function begin(org: string, charge: PlannedCharge) {
    const name = `${org}\n${charge.key}`;
    const crowd = crowds.get(name) ?? { inside: 0, counts: new Set() };
    crowds.set(name, crowd);
    const count: Count = { missed: 0 };
    crowd.counts.add(count);
    return { charge, name, crowd, count };
  }

  function tidy(name: string, crowd: Crowd): void {
    if (crowd.inside === 0 && crowd.counts.size === 0) crowds.delete(name);
  }

  return {
    async enter(org, charges) {
      const asked = charges.map((charge) => begin(org, charge));
      try {
        // One that ends while the rows are counted may have been missed by the count.
        const held = new Set(heldBy(org));
        const rows = await Promise.all(charges.map((charge) => countRows(wiring, org, charge.key)));
        for (const reservation of heldBy(org)) held.add(reservation);
        const used = asked.map(
          ({ charge, crowd, count }, i) =>
            (rows[i] ?? 0) + crowd.inside + count.missed + unitsOf(charge, held),
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
          crowd.counts.delete(count);
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
