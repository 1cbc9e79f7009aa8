import { FirstRows } from '../first-rows.ts';
import type { DegradationStage, SelectionPolicy } from '../ports/billing-repository.ts';
import type { InventoryRow } from '../ports/resource-inventory.ts';
import { comparePicks, type RankedRow, rankRow } from './picking-order.ts';

/** What decides which rows of one key are wound down. */
export interface Selection {
  /** How many rows are in excess. */
  readonly excess: number;
  /** At least this many rows are left unpicked: the limit. */
  readonly keepAtLeast: number;
  readonly policy: SelectionPolicy;
  readonly pinned: ReadonlySet<string>;
  readonly stage: DegradationStage;
}

/**
 * The ids of the rows to wind down, in the order in which the policy picks them: exactly `excess`, or fewer if the stream has fewer
 * than `keepAtLeast + excess` rows. None within limits, and none under `manual` while warned. Reads the rows as a stream and holds at
 * most `excess` of them.
 */
export async function selectRows(
  rows: AsyncIterable<InventoryRow> | Iterable<InventoryRow>,
  selection: Selection,
): Promise<readonly string[]> {
  if (!picksAnything(selection)) return [];
  const first = new FirstRows<RankedRow>(selection.excess, comparePicks);
  let count = 0;
  for await (const row of rows) {
    count += 1;
    first.add(rankRow(row, selection.policy, selection.pinned.has(row.id)));
  }
  const tooMany = Math.max(0, count - selection.keepAtLeast);
  return first
    .sorted()
    .slice(0, tooMany)
    .map((row) => row.id);
}

/** Whether any row would be picked; if not, the rows need not be read. */
export function picksAnything({
  excess,
  policy,
  stage,
}: Pick<Selection, 'excess' | 'policy' | 'stage'>): boolean {
  return excess > 0 && stage !== 'none' && !(policy === 'manual' && stage === 'warned');
}
