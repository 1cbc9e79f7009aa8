import type { Catalog } from '../catalog/catalog.ts';
import type { OrgView } from '../org/org-views.ts';
import { type PlannedCharge, planCharges } from './charges.ts';
import type { KeyCharge, ReserveRequest } from './types.ts';

/** Plans what creates are charged, and caches the plans. */
export interface Planner {
  /**
   * The result of `planCharges`. For a frozen list of frozen charges, such as a guard's, it is cached for as long as it is valid. Equal
   * plans of different orgs are then the same frozen object, so that a store need not check it again either.
   */
  plan(
    request: Pick<ReserveRequest, 'charges' | 'onFailure'>,
    view: OrgView,
    now: number,
  ): readonly PlannedCharge[];
}

/** The cached plans of one view, by the requested list of charges. */
export type Plans = Map<readonly KeyCharge[], KeptPlan>;

interface KeptPlan {
  readonly onFailure: ReserveRequest['onFailure'];
  readonly from: number;
  readonly until: number;
  readonly plan: readonly PlannedCharge[];
}

/** Most apps have few plans: a guard's keys with the limits of a tier. */
const MAX_PLANS = 1_000;
/** Lists of charges cached per view. */
const MAX_LISTS = 64;

export function createPlanner(catalog: Catalog): Planner {
  const plans = new Map<string, readonly PlannedCharge[]>();

  /** Returns the same object for all equal plans. */
  function share(plan: readonly PlannedCharge[]): readonly PlannedCharge[] {
    const name = JSON.stringify(plan);
    const known = plans.get(name);
    if (known !== undefined) return known;
    if (plans.size >= MAX_PLANS) plans.clear();
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
      // A host may freeze a new list for each request, which is never seen again.
      if (view.plans.size >= MAX_LISTS) view.plans.clear();
      view.plans.set(charges, { onFailure, from: now, until, plan: shared });
      return shared;
    },
  };
}

/** Until when a charge stays the same: the end of its window. Each charge of a session extends how long its counter is kept. */
function steadyUntil({ period, interval }: PlannedCharge): number {
  if (period === 'lifetime') return Number.POSITIVE_INFINITY;
  return interval.endsAt ?? 0;
}
