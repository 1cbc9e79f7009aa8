import type { Catalog } from '../catalog/catalog.ts';
import type { OrgView } from '../org/org-views.ts';
import { type PlannedCharge, planCharges } from './charges.ts';
import type { KeyCharge, ReserveRequest } from './types.ts';

/** Spells out what creates are charged, and keeps what will be asked for again. */
export interface Planner {
  /**
   * What `planCharges` answers. Of a frozen list with frozen charges, such as a guard's, it is kept as long as it holds; equal plans
   * of different orgs are then the same frozen object, so that a store need not look into it either.
   */
  plan(
    request: Pick<ReserveRequest, 'charges' | 'onFailure'>,
    view: OrgView,
    now: number,
  ): readonly PlannedCharge[];
}

/** Plans that are kept of one view, by the list of charges that was asked. */
export type Plans = Map<readonly KeyCharge[], KeptPlan>;

interface KeptPlan {
  readonly onFailure: ReserveRequest['onFailure'];
  readonly from: number;
  readonly until: number;
  readonly plan: readonly PlannedCharge[];
}

/** Most apps have few: a guard's keys at the limits of a tier. */
const MOST_PLANS = 1_000;
/** Lists of charges that are kept for one view. */
const MOST_LISTS = 64;

export function createPlanner(catalog: Catalog): Planner {
  const plans = new Map<string, readonly PlannedCharge[]>();

  /** The one object of all equal plans. */
  function share(plan: readonly PlannedCharge[]): readonly PlannedCharge[] {
    const name = JSON.stringify(plan);
    const known = plans.get(name);
    if (known !== undefined) return known;
    if (plans.size >= MOST_PLANS) plans.clear();
    for (const charge of plan) {
      Object.freeze(charge.effective.source);
      Object.freeze(charge.effective);
      Object.freeze(charge);
    }
    plans.set(name, Object.freeze(plan));
    return plan;
  }

  return {
    plan(request, view, now) {
      const { charges, onFailure } = request;
      const known = view.plans.get(charges);
      if (known !== undefined && known.onFailure === onFailure && now >= known.from && now < known.until) {
        return known.plan;
      }
      const plan = planCharges(request, view, catalog, now);
      if (!Object.isFrozen(charges) || !charges.every(Object.isFrozen)) return plan;
      const until = Math.min(view.steadyUntil(now), ...plan.map(steadyUntil));
      if (until <= now) return plan;
      const shared = share(plan);
      // A host may freeze a list of its own for each request: such are of no use later.
      if (view.plans.size >= MOST_LISTS) view.plans.clear();
      view.plans.set(charges, { onFailure, from: now, until, plan: shared });
      return shared;
    },
  };
}

/** Until when a charge is the same: its window's end. A session's counter is kept anew by each charge. */
function steadyUntil({ period, interval }: PlannedCharge): number {
  if (period === 'lifetime') return Number.POSITIVE_INFINITY;
  return interval.endsAt ?? 0;
}
