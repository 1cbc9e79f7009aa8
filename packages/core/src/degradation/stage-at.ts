import type { DegradationStage } from '../ports/billing-repository.ts';

/** An org's stage at an instant, and the level (0 to 1) of friction. */
export interface StageAt {
  readonly stage: DegradationStage;
  readonly level: number;
}

/** The stages in the order in which a spell passes through them. */
export const STAGES = [
  'none',
  'warned',
  'degraded',
  'marked_for_delete',
] as const satisfies readonly DegradationStage[];

/**
 * The stage and level of an org that is over capacity since `overCapacityAt` (epoch ms; null: within limits).
 *
 * `warned` lasts `warnedMs`, then `degraded` lasts `degradedMs` with a level that rises evenly from 0 to 1, then
 * `marked_for_delete` stays. Each stage begins at its first instant. A clock that was set back to before the spell began reads
 * as its first moment.
 */
export function stageAt(spell: {
  readonly overCapacityAt: number | null;
  readonly now: number;
  readonly warnedMs: number;
  readonly degradedMs: number;
}): StageAt {
  if (spell.overCapacityAt === null) return { stage: 'none', level: 0 };
  const degradedForMs = spell.now - spell.overCapacityAt - spell.warnedMs;
  if (degradedForMs < 0) return { stage: 'warned', level: 0 };
  if (degradedForMs < spell.degradedMs) return { stage: 'degraded', level: degradedForMs / spell.degradedMs };
  return { stage: 'marked_for_delete', level: 1 };
}
