import type { BillingRepository } from '../../ports/billing-repository.ts';
import type { Synchronous } from './synchronous.ts';
import { keyOf, type TableStore } from './tables.ts';

/** The repository's methods for snapshots of metered use, from which lost counters are restored. */
export function usageMethods({
  tables: { usage },
}: TableStore): Synchronous<Pick<BillingRepository, 'saveUsage' | 'loadUsage' | 'purgeUsage'>> {
  return {
    saveUsage(snapshots) {
      for (const { org, key, window, used, endsAt } of snapshots) {
        const name = keyOf(org, key, window);
        const known = usage.get(name);
        usage.set(name, {
          org,
          key,
          window,
          used: Math.max(used, known?.used ?? 0),
          endsAt: endsAt ?? known?.endsAt ?? null,
        });
      }
    },
    loadUsage: ({ org, windows }) =>
      windows.map(({ key, window }) => usage.get(keyOf(org, key, window)) ?? null),
    purgeUsage({ before }) {
      const purged = [...usage].filter(([, { endsAt }]) => endsAt !== null && endsAt < before);
      for (const [name] of purged) usage.delete(name);
      return purged.length;
    },
  };
}
