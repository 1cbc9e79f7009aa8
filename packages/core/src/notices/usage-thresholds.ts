import { describeFailure } from '../errors/describe-failure.ts';
import { keepNewest } from '../keep-newest.ts';
import type { QuotaState } from '../quota/types.ts';
import type { Wiring } from '../wiring.ts';
import type { Notices } from './notices.ts';

/** Watches decisions for shares of a limit that are reached. */
export interface UsageThresholds {
  /**
   * Looks at the windows of a decision, waiting for nothing. A threshold that was crossed upwards is told once over all processes: per window
   * for metered keys, and for capacity keys, whose use falls again, each time anew that a decision saw it below. Sessions and limits of 0 are left out.
   */
  observe(org: string, quotas: readonly QuotaState[]): void;
  /** Waits for what is being written. */
  close(): Promise<void>;
}

/** What this process last wrote of one org's key and period. */
interface Seen {
  readonly spell: number;
  readonly level: number;
  readonly at: number;
}

/** Most counters that are remembered as seen; beyond it the one seen longest ago goes, and is asked about once more. */
const MAX_SEEN = 10_000;
/** After so long the repository is asked again whether another process saw the use fall. */
const SEEN_TTL_MS = 60_000;

export function createUsageThresholds(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'clock' | 'logger'>,
  notices: Notices,
): UsageThresholds {
  const { catalog, settings, repository, clock, logger } = wiring;
  const { usageThresholds: thresholds } = settings;
  const lowest = thresholds[0] ?? Number.POSITIVE_INFINITY;
  const seen = new Map<string, Seen>();
  /** Orgs with anything seen: most have nothing to look for. One that is in vain here costs a look. */
  let seenOrgs = new Set<string>();
  /** The last write of each org's key and period. They follow each other: one that is overtaken would take a level back. */
  const writing = new Map<string, Promise<void>>();

  function levelOf(used: number, limit: number): number {
    return thresholds.findLast((percent) => used * 100 >= percent * limit) ?? 0;
  }

  /** Whether the repository need not be asked. */
  function isKnown(known: Seen | undefined, now: Seen, isCapacity: boolean): boolean {
    if (known === undefined || known.spell !== now.spell) return now.level === 0;
    if (now.level < known.level) return !isCapacity;
    return now.level === 0 || (now.level === known.level && now.at - known.at < SEEN_TTL_MS);
  }

  function remember(name: string, now: Seen): void {
    keepNewest(seen, name, now, MAX_SEEN);
    if (seenOrgs.size >= 2 * MAX_SEEN) seenOrgs = new Set([...seen.keys()].map(orgOf));
    seenOrgs.add(orgOf(name));
  }

  async function move(
    org: string,
    quota: QuotaState,
    spell: number,
    level: number,
    used: number,
  ): Promise<void> {
    const { key, period, window, limit } = quota;
    const request = { org, subject: `usage:${key}:${period}`, spell };
    const before = await repository.moveCrossing({ ...request, level });
    const isCapacity = catalog.quota(key)?.kind === 'capacity';
    // A slower process must not take a window back to a level it has left behind.
    if (before > level && !isCapacity) await repository.moveCrossing({ ...request, level: before });
    for (const threshold of thresholds) {
      if (threshold <= before || threshold > level) continue;
      notices.tell('usage.threshold', {
        org,
        key,
        period,
        window: window.label,
        threshold,
        current: used,
        limit: limit.value ?? 0,
      });
    }
  }

  return {
    observe(org, quotas) {
      for (const quota of quotas) {
        const { limit, remaining, period, key, window } = quota;
        if (limit.value === null || limit.value === 0 || remaining === null || period === 'per_session')
          continue;
        const used = limit.value - remaining;
        if (used * 100 < lowest * limit.value && !seenOrgs.has(org)) continue;
        const level = levelOf(used, limit.value);
        const now: Seen = { spell: window.startsAt ?? 0, level, at: clock.now() };
        const name = `${org}\n${key}\n${period}`;
        if (isKnown(seen.get(name), now, catalog.quota(key)?.kind === 'capacity')) continue;
        remember(name, now);
        const written = (writing.get(name) ?? Promise.resolve())
          .then(() => move(org, quota, now.spell, now.level, used))
          .catch((error: unknown) => {
            seen.delete(name);
            logger.warn('A usage threshold could not be recorded.', { key, ...describeFailure(error) });
          })
          .finally(() => {
            if (writing.get(name) === written) writing.delete(name);
          });
        writing.set(name, written);
      }
    },
    async close() {
      await Promise.all(writing.values());
    },
  };
}

function orgOf(name: string): string {
  return name.slice(0, name.indexOf('\n'));
}
