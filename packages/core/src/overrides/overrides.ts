import { checkActor } from '../org/check-actor.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { Override } from '../ports/billing-repository.ts';
import type { Wiring } from '../wiring.ts';
import { checkOverride } from './check-override.ts';
import type { SetOverrideRequest } from './types.ts';

/** Limits that operators set for one subject. */
export interface Overrides {
  /**
   * Inserts or replaces the override of (subject type, subject id, key, period); an omitted period is one of its own, for every period of
   * the key. In force at once in this process, elsewhere within `limitsTtlMs`.
   *
   * @throws TollgateError `unknown_subject_type`, `invalid_org_id`, `unknown_quota_key`, `unknown_period`, `invalid_limit`,
   * `invalid_request` for an odd instant or reason or nobody's name, `repository_unavailable`
   */
  set(request: SetOverrideRequest & { readonly actor: string }): Promise<Override>;
  /** Those in force, by id; with `includeExpired` all. */
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
      // Of whatever type it is: a subject id that is an org's too costs one read more, nothing else.
      orgViews.drop(stored.subjectId);
      return stored;
    },
    list: ({ includeExpired = false } = {}) =>
      repository.listOverrides({ liveAt: includeExpired ? null : clock.now() }),
  };
}
