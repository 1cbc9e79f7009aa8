import type { Notices } from '../notices/notices.ts';
import type { CapacityNotice } from '../notices/types.ts';
import type { Degradation } from '../ports/billing-repository.ts';
import type { Judgement } from './judge.ts';
import { STAGES } from './stage-at.ts';
import type { Overage } from './types.ts';

const NOTICE_OF = {
  warned: 'capacity.warned',
  degraded: 'capacity.degraded',
  marked_for_delete: 'capacity.marked',
} as const;

/**
 * Announces every stage after the one that was stored, up to the one saved in its place, in order; or the end of the spell. Only
 * the writer whose save succeeded calls this, so that one process announces each crossing once.
 */
export function announce(
  notices: Notices,
  org: string,
  before: Pick<Degradation, 'overCapacityAt' | 'stage'>,
  after: Judgement,
  overages: readonly Overage[],
): void {
  if (after.overCapacityAt === null) {
    if (before.overCapacityAt === null) return;
    notices.tell('capacity.cleared', {
      org,
      stage: 'none',
      overCapacityAt: before.overCapacityAt,
      overages: [],
    });
    return;
  }
  const announced = before.overCapacityAt === null ? 0 : STAGES.indexOf(before.stage);
  for (const stage of STAGES.slice(announced + 1, STAGES.indexOf(after.furthest) + 1)) {
    if (stage === 'none') continue;
    const notice: CapacityNotice = { org, stage, overCapacityAt: after.overCapacityAt, overages };
    notices.tell(NOTICE_OF[stage], notice);
  }
}
