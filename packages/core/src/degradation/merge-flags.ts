import type { DegradationStage, Flag, FlagState } from '../ports/billing-repository.ts';

/** A row that is wound down, by its key and id. */
export interface ChosenRow {
  readonly resource: string;
  readonly id: string;
}

const STATE_OF: Readonly<Record<DegradationStage, FlagState | null>> = {
  none: null,
  warned: 'flagged',
  degraded: 'degraded',
  marked_for_delete: 'marked_for_delete',
};

/**
 * The flags after a selection, in the order of `chosen`: every chosen row in the state of the stage. A row that was flagged before
 * keeps its times. A new one is flagged at `now`, the later of the two clocks. `markedAt` is when the row was first seen marked; null
 * before that.
 */
export function mergeFlags(
  stored: readonly Flag[],
  chosen: readonly ChosenRow[],
  stage: DegradationStage,
  now: number,
): readonly Flag[] {
  const state = STATE_OF[stage];
  if (state === null) return [];
  const known = new Map(stored.map((flag) => [rowName(flag), flag]));
  return chosen.map(({ resource, id }) => {
    const flag = known.get(rowName({ resource, id }));
    return {
      resource,
      id,
      state,
      flaggedAt: flag?.flaggedAt ?? now,
      markedAt: state === 'marked_for_delete' ? (flag?.markedAt ?? now) : null,
    };
  });
}

/** A unique string for a row's key and id. */
export function rowName({ resource, id }: ChosenRow): string {
  return JSON.stringify([resource, id]);
}

/** Whether both lists hold equal flags of the same rows in the same order. */
export function sameFlags(a: readonly Flag[], b: readonly Flag[]): boolean {
  return (
    a.length === b.length &&
    a.every((flag, i) => {
      const other = b[i];
      return (
        other !== undefined &&
        flag.resource === other.resource &&
        flag.id === other.id &&
        flag.state === other.state &&
        flag.flaggedAt === other.flaggedAt &&
        flag.markedAt === other.markedAt
      );
    })
  );
}
