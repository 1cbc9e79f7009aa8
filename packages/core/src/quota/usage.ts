import type { OrgViews } from '../org/org-views.ts';
import type { CounterReading } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';
import { checkSession, forgetAtOf } from './charges.ts';
import type { Debts } from './debts.ts';
import type { Recounts } from './recounts.ts';
import type { QuotaUse, UsageReport } from './types.ts';
import { windowAt } from './windows.ts';

/** Reports what an org uses. */
export interface Usage {
  /**
   * One item per key and period, in the order of the registry. Counts that are missing, uncertain or older than `maxCountAgeMs`
   * (`refusalCountMaxAgeMs` by default) are recounted first.
   *
   * @param options.session - the session whose `per_session` use is reported; without it such items read 0, as for a new session.
   * @throws TollgateError `quota_unavailable`, `repository_unavailable`
   */
  report(
    org: string,
    options?: { readonly session?: string; readonly maxCountAgeMs?: number },
  ): Promise<UsageReport>;
}

export function createUsage(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'counters' | 'clock'>,
  orgViews: OrgViews,
  recounts: Recounts,
  debts: Pick<Debts, 'pay'>,
): Usage {
  const { catalog, settings, counters, clock } = wiring;
  return {
    async report(org, options = {}) {
      const session = options.session === undefined ? undefined : checkSession(options.session);
      const view = await orgViews.of(org);
      // Debts that cannot be paid now are missing from the report.
      await debts.pay(org).catch(() => undefined);
      const now = clock.now();
      const plan = view.tier(now);

      const lines = catalog.keys.flatMap((key) => {
        const quota = catalog.quota(key);
        if (quota === undefined) return [];
        return quota.periods.flatMap((period) => {
          const limit = view.limit(key, period, now);
          if (limit === null) return [];
          const interval = windowAt(period, now, session);
          const isCounted = period !== 'per_session' || session !== undefined;
          const forgetAt = forgetAtOf(period, interval, now);
          return [{ key, window: interval.label, forgetAt, quota, period, limit, interval, isCounted }];
        });
      });
      const counted = lines.filter((line) => line.isCounted);
      const maxAgeMs = options.maxCountAgeMs ?? settings.refusalCountMaxAgeMs;
      // A session's counter is not created by a mere read, since a caller that makes up ids would fill the store.
      const isWanting = (line: (typeof lines)[number], reading: CounterReading | null | undefined) =>
        (reading == null && line.period !== 'per_session') ||
        (reading != null &&
          line.quota.kind === 'capacity' &&
          (reading.uncertain > 0 || reading.countAgeMs > maxAgeMs));

      let readings = await counters.read({ org, counters: counted });
      const wanting = counted.filter((line, i) => isWanting(line, readings[i]));
      if (wanting.length > 0) {
        const targets = wanting.map((line) => ({
          ...line,
          isTooOld: (reading: CounterReading) => isWanting(line, reading),
        }));
        await recounts.run(org, targets);
        readings = await counters.read({ org, counters: counted });
      }
      const readingOf = new Map(counted.map((line, i) => [line, readings[i]]));
      const items: QuotaUse[] = [];
      for (const line of lines) {
        const { key, period, quota, interval: window, limit, isCounted } = line;
        const reading = readingOf.get(line);
        let current = 0;
        if (reading) current = reading.committed + reading.uncertain;
        else if (isCounted) current = await recounts.lastSnapshot(org, line);
        items.push({ key, period, unit: quota.unit, window, current, limit });
      }
      return { org, tier: plan.tier.slug, items };
    },
  };
}
