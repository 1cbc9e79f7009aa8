import type { BillingRepository, Degradation, RowAction, SweepList, UsageSnapshot } from '@tollgate/core';
import { writeAudit } from './audit.ts';
import { type HostDatabase, type HostTransaction, nameOf, sortBy } from './host-database.ts';

interface SweepRow {
  readonly org: string;
  /** Null: not on the list. */
  readonly dueAt: number | null;
  /** Null: in no sweeper's hands. */
  readonly claimedUntil: number | null;
  readonly fence: number;
}

// #region watch
const sweepOf = async (tx: HostTransaction, org: string): Promise<SweepRow> =>
  (await tx.get<SweepRow>('sweeps', org)) ?? { org, dueAt: null, claimedUntil: null, fence: 0 };

/** Puts the org on the sweep's list from the instant on; an earlier instant stays. */
export async function watch(tx: HostTransaction, org: string, dueAt: number): Promise<void> {
  const row = await sweepOf(tx, org);
  await tx.put('sweeps', org, { ...row, dueAt: Math.min(row.dueAt ?? dueAt, dueAt) });
}
// #endregion

type Stored = Omit<Degradation, 'readAt'>;

async function degradationOf(tx: HostTransaction, org: string): Promise<Stored> {
  const nothing: Stored = {
    policy: null,
    overCapacityAt: null,
    stage: 'none',
    flags: [],
    pins: [],
    version: 0,
  };
  return (await tx.get<Stored>('degradations', org)) ?? nothing;
}

type Methods =
  | keyof SweepList
  | 'loadDegradation'
  | 'setSelectionPolicy'
  | 'setPin'
  | 'saveDegradation'
  | 'saveUsage'
  | 'loadUsage'
  | 'purgeUsage';

/** The over-capacity lifecycle, its sweeps, and metered use. */
export function lifecycleMethods({ transaction }: HostDatabase): Pick<BillingRepository, Methods> {
  const save = (tx: HostTransaction, org: string, row: Stored) =>
    tx.put('degradations', org, { ...row, version: row.version + 1 });

  async function claimed(tx: HostTransaction, org: string, fence: number): Promise<SweepRow | null> {
    const row = await sweepOf(tx, org);
    return row.fence === fence && (await tx.now()) < (row.claimedUntil ?? 0) ? row : null;
  }

  return {
    loadDegradation: (org) =>
      transaction(async (tx) => ({ ...(await degradationOf(tx, org)), readAt: await tx.now() })),
    setSelectionPolicy: ({ org, policy, audit }) =>
      transaction(async (tx) => {
        await save(tx, org, { ...(await degradationOf(tx, org)), policy });
        await writeAudit(tx, audit);
      }),
    setPin: ({ org, pin, keep, maxPins, audit }) =>
      transaction(async (tx) => {
        const row = await degradationOf(tx, org);
        const others = row.pins.filter(({ resource, id }) => resource !== pin.resource || id !== pin.id);
        const isPinned = others.length < row.pins.length;
        if (isPinned === keep) return 'saved';
        const ofResource = others.filter(({ resource }) => resource === pin.resource);
        if (keep && maxPins !== null && ofResource.length >= maxPins) return 'limit_reached';
        const pins = sortBy(
          keep ? [...others, pin] : others,
          ({ resource }) => resource,
          ({ id }) => id,
        );
        await save(tx, org, { ...row, pins });
        await writeAudit(tx, audit);
        return 'saved';
      }),
    saveDegradation: ({ org, expectedVersion, lookAt, ...change }) =>
      transaction(async (tx) => {
        const row = await degradationOf(tx, org);
        if (row.version !== expectedVersion) return 'conflict';
        await save(tx, org, { ...row, ...change });
        if (lookAt !== null) await watch(tx, org, lookAt);
        return 'saved';
      }),

    watchOrgs: ({ orgs }) =>
      transaction(async (tx) => {
        for (const org of orgs) await watch(tx, org, await tx.now());
      }),
    // #region claim-sweeps
    claimSweeps: ({ org, dueAt, limit, leaseMs }) =>
      transaction(async (tx) => {
        const now = await tx.now();
        const isFree = ({ claimedUntil }: SweepRow) => claimedUntil === null || claimedUntil <= now;
        // A claim that ran out unfinished is due since that moment: a sweeper that died holds nobody up for long.
        const dueSince = (row: SweepRow) => Math.min(row.dueAt ?? Infinity, row.claimedUntil ?? Infinity);
        const rows = org === null ? await tx.all<SweepRow>('sweeps') : [await sweepOf(tx, org)];
        const due = sortBy(rows.filter(isFree), (row) => row.org)
          .filter((row) => org !== null || (dueSince(row) <= (dueAt ?? now) && dueSince(row) < Infinity))
          .sort((a, b) => dueSince(a) - dueSince(b))
          .slice(0, org === null ? limit : 1);
        // Grows with every claim, so that a sweeper that was paused is told apart from the one that took over.
        const claims = due.map((row) => ({ org: row.org, fence: row.fence + 1 }));
        for (const claim of claims) {
          await tx.put('sweeps', claim.org, {
            ...claim,
            dueAt: null,
            claimedUntil: now + leaseMs,
          } satisfies SweepRow);
        }
        return { now, claims };
      }),
    // #endregion
    finishSweep: ({ org, fence, lookAt }) =>
      transaction(async (tx) => {
        const row = await claimed(tx, org, fence);
        if (row === null) return false;
        await tx.put('sweeps', org, { ...row, claimedUntil: null });
        if (lookAt !== null) await watch(tx, org, lookAt);
        return true;
      }),
    loadRowActions: (org) =>
      transaction(async (tx) => {
        const rows = (await tx.all<RowAction & { org: string }>('row_actions')).filter(
          (row) => row.org === org,
        );
        const actions = rows.map(({ org: _, ...action }) => action);
        return sortBy(
          actions,
          ({ resource }) => resource,
          ({ id }) => id,
        );
      }),
    saveRowActions: ({ org, fence, leaseMs, save: saved, forget }) =>
      transaction(async (tx) => {
        const row = await claimed(tx, org, fence);
        if (row === null) return false;
        await tx.put('sweeps', org, { ...row, claimedUntil: (await tx.now()) + leaseMs });
        for (const { resource, id } of forget) await tx.remove('row_actions', nameOf(org, resource, id));
        for (const action of saved) {
          await tx.put('row_actions', nameOf(org, action.resource, action.id), { org, ...action });
        }
        return true;
      }),
    moveCrossing: ({ org, subject, spell, level }) =>
      transaction(async (tx) => {
        const name = nameOf(org, subject);
        const known = await tx.get<{ spell: number; level: number }>('crossings', name);
        if (known !== null && known.spell > spell) return level;
        await tx.put('crossings', name, { spell, level });
        return known?.spell === spell ? known.level : 0;
      }),

    // #region save-usage
    saveUsage: (snapshots) =>
      transaction(async (tx) => {
        for (const snapshot of snapshots) {
          const name = nameOf(snapshot.org, snapshot.key, snapshot.window);
          const known = await tx.get<UsageSnapshot>('usage', name);
          // Processes write behind in any order: the larger number is the later one.
          const used = Math.max(snapshot.used, known?.used ?? 0);
          await tx.put('usage', name, {
            ...snapshot,
            used,
            endsAt: snapshot.endsAt ?? known?.endsAt ?? null,
          });
        }
      }),
    // #endregion
    loadUsage: ({ org, windows }) =>
      transaction((tx) =>
        Promise.all(
          windows.map(({ key, window }) => tx.get<UsageSnapshot>('usage', nameOf(org, key, window))),
        ),
      ),
    purgeUsage: ({ before }) =>
      transaction(async (tx) => {
        const old = (await tx.all<UsageSnapshot>('usage')).filter(
          ({ endsAt }) => endsAt !== null && endsAt < before,
        );
        for (const { org, key, window } of old) await tx.remove('usage', nameOf(org, key, window));
        return old.length;
      }),
  };
}
