import { describeFailure } from '../errors/describe-failure.ts';
import { keepNewest } from '../keep-newest.ts';
import type { QuotaState } from '../quota/types.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import type { Notices } from './notices.ts';

/** Watches decisions for percentages of a limit that are reached. */
export interface UsageThresholds {
  /**
   * Checks the windows of a decision, without waiting. A threshold crossed upwards is reported once among all processes: once per window for
   * metered keys, and for capacity keys, whose use can fall, once each time after a decision saw the use below it. Ignores sessions and
   * limits of 0.
   */
  observe(org: string, quotas: readonly QuotaState[]): void;
  /** Waits for writes in progress. */
  close(): Promise<void>;
}

/** What this process last wrote for an org's key and period. */
interface Seen {
  readonly spell: number;
  readonly level: number;
  readonly at: number;
}

/** Most counters remembered; beyond it, the one seen longest ago is evicted, and the repository is asked about it once more. */
const MAX_SEEN = 10_000;
/** After this long the repository is asked again, since another process may have seen the use fall. */
const SEEN_TTL_MS = 60_000;

export function createUsageThresholds(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'clock' | 'logger'>,
  notices: Notices,
): UsageThresholds {
  const { catalog, settings, repository, clock, logger } = wiring;
  const { usageThresholds: thresholds } = settings;
  const lowest = thresholds[0] ?? Number.POSITIVE_INFINITY;
  const seen = new Map<string, Seen>();
  /** Orgs with an entry in `seen`. Most have none, and need no lookup; a stale entry here only costs one. */
  let seenOrgs = new Set<string>();
  /** The last write per org, key and period. Writes run one after the other: an overtaken one would set the level back. */
  const writing = new Map<string, Promise<void>>();

  function levelOf(used: number, limit: number): number {
    return thresholds.findLast((percent) => used * 100 >= percent * limit) ?? 0;
  }

  /** Whether the repository need not be asked about this level. */
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
    // A slower process must not set a window back to a level that it has already passed.
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
            const facts = { org, key, ...describeFailure(error) };
            warnSometimes(logger, 'A usage threshold could not be recorded.', facts);
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
