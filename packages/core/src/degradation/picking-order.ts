import type { SelectionPolicy } from '../ports/billing-repository.ts';
import type { InventoryRow } from '../ports/resource-inventory.ts';

export const SELECTION_POLICIES = [
  'newest_first',
  'oldest_first',
  'least_recently_used',
  'manual',
] as const satisfies readonly SelectionPolicy[];

/** A row as selection ranks it: the lowest rank is picked first. */
export interface RankedRow {
  readonly id: string;
  readonly isPinned: boolean;
  /** The instant by which the policy ranks it, negated if the latest comes first. */
  readonly rank: number;
}

/**
 * How the policy ranks a row. `manual` ranks as `newest_first`, which decides what the admins left open. A row whose use is not
 * tracked ranks by its creation.
 */
export function rankRow(row: InventoryRow, policy: SelectionPolicy, isPinned: boolean): RankedRow {
  switch (policy) {
    case 'newest_first':
    case 'manual':
      return { id: row.id, isPinned, rank: -row.createdAt };
    case 'oldest_first':
      return { id: row.id, isPinned, rank: row.createdAt };
    case 'least_recently_used':
      return { id: row.id, isPinned, rank: row.lastUsedAt ?? row.createdAt };
  }
}

/** Below 0 if `a` is picked before `b`: pinned rows last, then by rank, ties by id (code units, ascending). */
export function comparePicks(a: RankedRow, b: RankedRow): number {
  if (a.isPinned !== b.isPinned) return a.isPinned ? 1 : -1;
  if (a.rank !== b.rank) return a.rank - b.rank;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}
