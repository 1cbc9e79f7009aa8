import type { Degradation, DegradationStage } from '../ports/billing-repository.ts';
import { STAGES, type StageAt, stageAt } from './stage-at.ts';
import { beginningAt, judgedAt, type TwoClocks } from './two-clocks.ts';

/** An org's stage and level now, and what to store. */
export interface Judgement extends StageAt {
  readonly overCapacityAt: number | null;
  /** The furthest stage of the spell, which is the last one announced. */
  readonly furthest: DegradationStage;
  /** The instant at which it was judged, epoch ms. */
  readonly now: number;
}

/** Starts, keeps or ends an org's spell, and determines its stage and level. */
export function judge(
  stored: Pick<Degradation, 'overCapacityAt' | 'stage'>,
  isOver: boolean,
  clocks: TwoClocks,
  lengths: { readonly warnedMs: number; readonly degradedMs: number },
): Judgement {
  const now = judgedAt(clocks);
  if (!isOver) return { stage: 'none', level: 0, overCapacityAt: null, furthest: 'none', now };
  const overCapacityAt = stored.overCapacityAt ?? beginningAt(clocks);
  const at = stageAt({ overCapacityAt, now, ...lengths });
  const before = stored.overCapacityAt === null ? 'none' : stored.stage;
  return { ...at, overCapacityAt, furthest: laterStage(before, at.stage), now };
}

function laterStage(a: DegradationStage, b: DegradationStage): DegradationStage {
  return STAGES.indexOf(a) >= STAGES.indexOf(b) ? a : b;
}
