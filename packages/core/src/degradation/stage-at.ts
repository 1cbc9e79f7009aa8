import type { DegradationStage } from '../ports/billing-repository.ts';

/** An org's stage at an instant, and its level of friction (0 to 1). */
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
 * The stage and level of an org that has been over capacity since `overCapacityAt` (epoch ms; null: within limits).
 *
 * `warned` lasts `warnedMs`, then `degraded` lasts `degradedMs` with a level that rises linearly from 0 to 1, then
 * `marked_for_delete` stays. A stage includes the instant at which it begins. A clock that was set back to before the spell began
 * counts as its first instant.
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
