import { checkActor } from '../org/check-actor.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { Override } from '../ports/billing-repository.ts';
import type { Wiring } from '../wiring.ts';
import { checkOverride } from './check-override.ts';
import type { SetOverrideRequest } from './types.ts';

/** Limits that operators set for one subject. */
export interface Overrides {
  /**
   * Inserts or replaces the override of (subject type, subject id, key, period). An override without a period is a separate one, for every
   * period of the key. In force immediately in this process, and within `limitsTtlMs` in others.
   *
   * @throws TollgateError `unknown_subject_type`, `invalid_org_id`, `unknown_quota_key`, `unknown_period`, `invalid_limit`,
   * `invalid_request` for an invalid instant, reason or actor, `repository_unavailable`
   */
  set(request: SetOverrideRequest & { readonly actor: string }): Promise<Override>;
  /** The overrides in force, ordered by id; all of them with `includeExpired`. */
  list(request?: { readonly includeExpired?: boolean }): Promise<readonly Override[]>;
}

export function createOverrides(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'clock' | 'ids'>,
  orgViews: Pick<OrgViews, 'drop'>,
): Overrides {
  const { repository, clock, ids } = wiring;
  return {
    async set({ actor, ...request }) {
      const checked = checkOverride(request, wiring);
      checkActor(actor);
      const now = clock.now();
      const override = { ...checked, id: ids.next(), createdBy: actor, createdAt: now, updatedAt: now };
      const stored = await repository.upsertOverride({ override, actor });
      // Whatever the subject's type: if an org happens to have the same id, this costs one more read and nothing else.
      orgViews.drop(stored.subjectId);
      return stored;
    },
    list: ({ includeExpired = false } = {}) =>
      repository.listOverrides({ liveAt: includeExpired ? null : clock.now() }),
  };
}
