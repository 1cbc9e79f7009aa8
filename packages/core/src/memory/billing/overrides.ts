import type { BillingRepository } from '../../ports/billing-repository.ts';
import { writeAudit } from './audit.ts';
import { watchFrom } from './sweeps.ts';
import type { Synchronous } from './synchronous.ts';
import { byTexts, keyOf, type TableStore } from './tables.ts';

/** The repository's methods for operators' overrides. */
export function overrideMethods({
  tables,
  clock,
}: TableStore): Synchronous<Pick<BillingRepository, 'upsertOverride' | 'listOverrides'>> {
  const { overrides } = tables;
  return {
    upsertOverride({ override, actor }) {
      const { subjectType, subjectId, key, period } = override;
      const name = keyOf(subjectType, subjectId, key, period);
      const before = overrides.get(name) ?? null;
      const after = before ? { ...override, id: before.id, createdAt: before.createdAt } : override;
      overrides.set(name, after);
      if (subjectType === 'org') watchFrom(tables, subjectId, clock.now());
      const at = override.updatedAt;
      writeAudit(tables, {
        at,
        org: subjectId,
        actor,
        action: 'override.set',
        subject: after.id,
        before,
        after,
      });
      return after;
    },
    listOverrides: ({ liveAt }) =>
      [...overrides.values()]
        .filter(({ expiresAt }) => liveAt === null || expiresAt === null || liveAt < expiresAt)
        .sort(byTexts(({ id }) => [id])),
  };
}
