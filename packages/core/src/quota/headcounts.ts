import type { Reservation } from '../ports/counter-store.ts';
import type { PlannedCharge } from './charges.ts';
import { countRows } from './count-rows.ts';

/** A decision on the host's own count, made without any store. */
export interface Headcount {
  /** Positions of the charges that do not fit; empty when let in. */
  readonly misfits: readonly number[];
  /** Rows in use by charge, those of this create included when let in. */
  readonly counts: readonly number[];
  /** Ends the create, once; its rows are in the host's count from then on. */
  readonly leave: () => void;
}

interface Crowd {
  /** Units let in whose rows a count may not have seen yet. */
  inside: number;
  /** Counts under way. */
  counting: number;
  /** Units of creates that ended while a count was under way, which that count may have missed. */
  leaving: number;
}

/**
 * Decides creates of this process on the host's count while the store is away. Exact within the process: units are held until no
 * count that may have missed their rows is under way. Other processes are not seen.
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

  function crowdOf(name: string): Crowd {
    const crowd = crowds.get(name) ?? { inside: 0, counting: 0, leaving: 0 };
    crowds.set(name, crowd);
    return crowd;
  }

  function tidy(name: string, crowd: Crowd): void {
    if (crowd.counting === 0) {
      crowd.inside -= crowd.leaving;
      crowd.leaving = 0;
      if (crowd.inside === 0) crowds.delete(name);
    }
  }

  return {
    async enter(org, charges) {
      const names = charges.map((charge) => `${org}\n${charge.key}`);
      const all = names.map(crowdOf);
      for (const crowd of all) crowd.counting++;
      try {
        // One that ends while the rows are counted may have been missed by the count.
        const held = new Set(heldBy(org));
        const rows = await Promise.all(charges.map((charge) => countRows(wiring, org, charge.key)));
        for (const reservation of heldBy(org)) held.add(reservation);
        const counts = charges.map(
          (charge, i) => (rows[i] ?? 0) + (all[i]?.inside ?? 0) + unitsOf(charge, held) + charge.amount,
        );
        const misfits = charges.flatMap(({ limit }, i) =>
          limit !== null && (counts[i] ?? 0) > limit ? [i] : [],
        );
        if (misfits.length > 0) return { misfits, counts: rows, leave: () => undefined };
        charges.forEach((charge, i) => {
          const crowd = all[i];
          if (crowd !== undefined) crowd.inside += charge.amount;
        });
        let isInside = true;
        const leave = () => {
          if (!isInside) return;
          isInside = false;
          charges.forEach((charge, i) => {
            const crowd = all[i];
            const name = names[i];
            if (crowd === undefined || name === undefined) return;
            crowd.leaving += charge.amount;
            tidy(name, crowd);
          });
        };
        return { misfits, counts, leave };
      } finally {
        all.forEach((crowd, i) => {
          crowd.counting--;
          const name = names[i];
          if (name !== undefined) tidy(name, crowd);
        });
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
