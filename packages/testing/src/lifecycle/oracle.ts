import type { DegradationReport, Flag, SelectionPolicy } from '@tollgate/core';
import { KEYS, type KeyName, type OrgName } from './steps.ts';

export const WARNED_MS = 14 * 86_400_000;
export const DEGRADED_MS = 14 * 86_400_000;
export const PLAN: Readonly<Record<KeyName, number>> = { devices: 3, zones: 2, org_users: 2 };

export interface OracleRow {
  readonly id: string;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
}

/** What the lifecycle has to remember about an org. */
export interface Remembered {
  readonly since: number | null;
  readonly flags: readonly Flag[];
}

/** The time that a process sees on its own clock and on the repository's. */
export interface Seen {
  readonly process: number;
  readonly repository: number;
}

/** Everything that determines an org's report: plain data, and a literal reading of the contract. */
export class OrgOracle {
  readonly org: OrgName;
  readonly rows: Record<KeyName, OracleRow[]> = { devices: [], zones: [], org_users: [] };
  readonly limits = new Map<KeyName, { readonly limit: number; readonly endsAt: number | null }>();
  readonly pins = new Set<string>();
  policy: SelectionPolicy = 'newest_first';
  remembered: Remembered = { since: null, flags: [] };

  constructor(org: OrgName) {
    this.org = org;
  }

  /** Null is unlimited. */
  limitOf(key: KeyName, now: number): number | null {
    const override = this.limits.get(key);
    if (override === undefined || (override.endsAt !== null && now >= override.endsAt)) return PLAN[key];
    return override.limit === -1 ? null : override.limit;
  }

  isPinned(key: KeyName, id: string): boolean {
    return this.pins.has(`${key}/${id}`);
  }

  /** What a look at this moment reports, and what has to be remembered after it. Changes nothing. */
  look(seen: Seen): { readonly report: DegradationReport; readonly remembered: Remembered } {
    const overages = KEYS.flatMap((key) => {
      const limit = this.limitOf(key, seen.process);
      const current = this.rows[key].length;
      if (limit === null || current <= limit) return [];
      return [{ key, unit: 'count' as const, current, limit, excess: current - limit }];
    });
    const common = { org: this.org, policy: this.policy, overages };
    if (overages.length === 0) {
      const nothing = {
        stage: 'none',
        level: 0,
        overCapacity: false,
        overCapacityAt: null,
        flagged: [],
      } as const;
      return { report: { ...common, ...nothing }, remembered: { since: null, flags: [] } };
    }
    const now = Math.min(seen.process, seen.repository);
    const later = Math.max(seen.process, seen.repository);
    const since = this.remembered.since ?? later;
    const forMs = now - since;
    const stage =
      forMs < WARNED_MS ? 'warned' : forMs < WARNED_MS + DEGRADED_MS ? 'degraded' : 'marked_for_delete';
    const level = stage === 'warned' ? 0 : stage === 'degraded' ? (forMs - WARNED_MS) / DEGRADED_MS : 1;
    const state = stage === 'warned' ? 'flagged' : stage;
    const flagged = overages.flatMap(({ key, excess }) =>
      this.#picks(key, excess, stage === 'warned').map((id): Flag => {
        const before = this.remembered.flags.find((flag) => flag.resource === key && flag.id === id);
        const markedAt = state === 'marked_for_delete' ? (before?.markedAt ?? later) : null;
        return { resource: key, id, state, flaggedAt: before?.flaggedAt ?? later, markedAt };
      }),
    );
    const report = { ...common, stage, level, overCapacity: true, overCapacityAt: since, flagged } as const;
    return { report, remembered: { since, flags: flagged } };
  }

  #picks(key: KeyName, excess: number, isWarned: boolean): readonly string[] {
    if (key === 'org_users' || (this.policy === 'manual' && isWarned)) return [];
    const rankOf = (row: OracleRow) => {
      if (this.policy === 'oldest_first') return row.createdAt;
      if (this.policy === 'least_recently_used') return row.lastUsedAt ?? row.createdAt;
      return -row.createdAt;
    };
    return [...this.rows[key]]
      .sort(
        (a, b) =>
          Number(this.isPinned(key, a.id)) - Number(this.isPinned(key, b.id)) ||
          rankOf(a) - rankOf(b) ||
          (a.id < b.id ? -1 : 1),
      )
      .slice(0, excess)
      .map(({ id }) => id);
  }
}
