import { FirstRows } from '../../first-rows.ts';
import type { RowAction, SweepList } from '../../ports/sweep-list.ts';
import type { Synchronous } from './synchronous.ts';
import { byTexts, keyOf, type SweepRow, type TableStore, type Tables } from './tables.ts';

/** Puts an org on the sweep's list, due from an instant on; an earlier instant stays. */
export function watchFrom({ sweeps }: Tables, org: string, dueAt: number): void {
  const row = rowOf(sweeps, org);
  row.dueAt = Math.min(row.dueAt ?? dueAt, dueAt);
}

function rowOf(sweeps: Tables['sweeps'], org: string): SweepRow {
  const row = sweeps.get(org) ?? { dueAt: null, claimedUntil: null, fence: 0 };
  sweeps.set(org, row);
  return row;
}

/** The repository's methods for sweeps. */
export function sweepMethods({ tables, clock }: TableStore): Synchronous<SweepList> {
  const { sweeps, rowActions, crossings } = tables;

  /** The org's row if the claim is still the caller's. */
  function claimed(org: string, fence: number): SweepRow | undefined {
    const row = sweeps.get(org);
    const isHeld = row?.fence === fence && row.claimedUntil !== null && clock.now() < row.claimedUntil;
    return isHeld ? row : undefined;
  }

  /** Since when an unclaimed org is due; null if it is claimed or not on the list. */
  function dueSince({ dueAt, claimedUntil }: SweepRow): number | null {
    if (claimedUntil !== null && clock.now() < claimedUntil) return null;
    const since = Math.min(dueAt ?? Number.POSITIVE_INFINITY, claimedUntil ?? Number.POSITIVE_INFINITY);
    return since === Number.POSITIVE_INFINITY ? null : since;
  }

  /** The orgs longest due, in order. Keeps only `limit` of them in memory, since the list may be long. */
  function dueOrgs(until: number, limit: number): string[] {
    const first = new FirstRows<{ readonly org: string; readonly since: number }>(
      limit,
      (a, b) => a.since - b.since || (a.org < b.org ? -1 : 1),
    );
    for (const [org, row] of sweeps) {
      const since = dueSince(row);
      if (since !== null && since <= until) first.add({ org, since });
    }
    return first.sorted().map(({ org }) => org);
  }

  return {
    watchOrgs({ orgs }) {
      for (const org of orgs) watchFrom(tables, org, clock.now());
    },
    claimSweeps({ org, dueAt, limit, leaseMs }) {
      const now = clock.now();
      const isFree = ({ claimedUntil }: SweepRow) => claimedUntil === null || claimedUntil <= now;
      const orgs = org === null ? dueOrgs(dueAt ?? now, limit) : isFree(rowOf(sweeps, org)) ? [org] : [];
      const claims = orgs.map((claimedOrg) => {
        const row = rowOf(sweeps, claimedOrg);
        row.fence += 1;
        row.dueAt = null;
        row.claimedUntil = now + leaseMs;
        return { org: claimedOrg, fence: row.fence };
      });
      return { now, claims };
    },
    loadRowActions: (org) =>
      [...(rowActions.get(org)?.values() ?? [])].sort(byTexts(({ resource, id }) => [resource, id])),
    saveRowActions({ org, fence, leaseMs, save, forget }) {
      const row = claimed(org, fence);
      if (!row) return false;
      row.claimedUntil = clock.now() + leaseMs;
      const actions = rowActions.get(org) ?? new Map<string, RowAction>();
      for (const { resource, id } of forget) actions.delete(keyOf(resource, id));
      for (const action of save) actions.set(keyOf(action.resource, action.id), action);
      if (actions.size > 0) rowActions.set(org, actions);
      else rowActions.delete(org);
      return true;
    },
    finishSweep({ org, fence, lookAt }) {
      const row = claimed(org, fence);
      if (!row) return false;
      row.claimedUntil = null;
      if (lookAt !== null) watchFrom(tables, org, lookAt);
      return true;
    },
    moveCrossing({ org, subject, spell, level }) {
      const name = keyOf(org, subject);
      const known = crossings.get(name);
      if (known && known.spell > spell) return level;
      crossings.set(name, { spell, level });
      return known?.spell === spell ? known.level : 0;
    },
  };
}
