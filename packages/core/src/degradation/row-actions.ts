import { redact } from '../defaults/redact.ts';
import { describeFailure } from '../errors/describe-failure.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { RowAction, SweepClaim } from '../ports/sweep-list.ts';
import { countRows } from '../quota/count-rows.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import { callHost } from './call-host.ts';
import { findRow } from './list-rows.ts';
import { type ChosenRow, rowName } from './merge-flags.ts';

/** What was done to rows. */
export interface ActionTally {
  readonly suspended: number;
  readonly restored: number;
  readonly removed: number;
  /** Callbacks that failed or took too long; the next sweep retries them. */
  readonly failed: number;
}

/** The state of one look at a claimed org, kept over all its rounds. */
export interface Look {
  readonly claim: SweepClaim;
  /** How long actions are begun after the first one succeeded, ms. */
  readonly actForMs: number;
  /** Asked before each action; when true, no more are begun. */
  readonly shouldStop: () => boolean;
  /** Rows whose action failed in this look; it does not retry them. */
  readonly failedRows: Set<string>;
  /** By action: a host that cannot restore may still suspend. */
  readonly failuresInARow: Map<RowAction['action'], number>;
  /** Whether the org's subscriptions could be compared with the provider in this look; null until they were to be. */
  isSynced: boolean | null;
  /** By key: how often a recount found too few rows in excess for an action that was due. */
  readonly outdated: Map<string, number>;
  /** When no more actions are begun, on the process's clock. */
  endsAt: number;
  tally: ActionTally;
}

/** Performs the actions of a plan on the host's rows, and keeps their records. */
export interface RowActions {
  /**
   * Performs the actions in order. Before each one its record is set to `started`, in a write that is refused once the claim is lost.
   * Before each suspend and remove the rows are counted again; before the first remove the org is synced. The record of a row that is
   * gone is deleted.
   *
   * @param flagged - the picked rows, in the order of picking: if fewer rows are in excess, the last ones are no longer picked.
   *
   * Returns `done` if all were tried but those that the host keeps failing with, or if a count left no room for one. Returns `stop` if
   * the claim is lost, or the look or the sweep has to end.
   */
  perform(
    look: Look,
    actions: readonly RowAction[],
    known: readonly RowAction[],
    flagged: readonly ChosenRow[],
  ): Promise<'done' | 'stop'>;
  /** Saves and deletes records of the claim's org; false if the claim is lost. */
  record(
    claim: SweepClaim,
    save: readonly RowAction[],
    forget: readonly { resource: string; id: string }[],
  ): Promise<boolean>;
}

/** Updates an org's subscriptions from the provider. @throws if it cannot be asked */
export type SyncOrg = (org: string) => Promise<unknown>;

/** After this many consecutive failures of an action, the host is not asked for it again until the next sweep. */
export const MAX_FAILURES_IN_A_ROW = 3;

/** Whether the host has failed with this kind of action too often for this look. */
export function keepsFailing({ failuresInARow }: Look, { action }: RowAction): boolean {
  return (failuresInARow.get(action) ?? 0) >= MAX_FAILURES_IN_A_ROW;
}

const TALLY_OF = { suspend: 'suspended', restore: 'restored', remove: 'removed' } as const;

/** How long a claim lasts without renewal, ms: how long a sweeper that died can hold an org up. */
export function claimLeaseMs({ lifecycle }: Pick<Wiring['settings'], 'lifecycle'>): number {
  return 6 * (lifecycle?.callbackTimeoutMs ?? 10_000);
}

export function createRowActions(
  wiring: Pick<
    Wiring,
    'catalog' | 'settings' | 'repository' | 'inventory' | 'clock' | 'logger' | 'telemetry'
  >,
  { orgViews, sync }: { readonly orgViews: Pick<OrgViews, 'fresh'>; readonly sync: SyncOrg },
): RowActions {
  const { catalog, settings, repository, inventory, clock, logger, telemetry } = wiring;
  const { lifecycle, inventoryTimeoutMs: timeoutMs } = settings;
  const leaseMs = claimLeaseMs(settings);

  const record: RowActions['record'] = (claim, save, forget) =>
    repository.saveRowActions({ ...claim, leaseMs, save, forget });

  /** Whether more than `rows` rows are in excess, by the host's count and a limit read now. */
  async function hasExcess(org: string, resource: string, rows: number): Promise<boolean> {
    const view = await orgViews.fresh(org);
    const limit = view.limit(resource, 'lifetime', clock.now())?.value ?? null;
    if (limit === null) return false;
    const count = await countRows(wiring, org, resource);
    return count - limit > rows;
  }

  /** Whether the row exists; null if the host cannot say. */
  async function exists(org: string, { resource, id }: RowAction): Promise<boolean | null> {
    // The inventory need not know a key that is no longer counted. If its rows were taken for gone, they would stay suspended.
    if (catalog.quota(resource)?.kind !== 'capacity') return true;
    try {
      return (await findRow(inventory, { org, key: resource, id, timeoutMs })) !== null;
    } catch (error) {
      const facts = { org, resource, id, ...describeFailure(error) };
      warnSometimes(
        logger,
        'A row could not be looked up. The next sweep tries again.',
        facts,
        `find\n${resource}`,
      );
      return null;
    }
  }

  /** Whether the limits are what the org pays for by now, events that never arrived included: no removal can be undone. */
  async function isPaidUp(look: Look, { action, resource }: RowAction): Promise<boolean> {
    // Asked once a look: a provider that is away takes its whole time-out for each answer, and the orgs behind this one wait.
    if (look.isSynced !== null) return look.isSynced;
    const { org } = look.claim;
    try {
      await sync(org);
      look.isSynced = true;
    } catch (error) {
      look.isSynced = false;
      warnSometimes(logger, 'An org could not be synced before a removal. The next sweep tries again.', {
        org,
        action,
        resource,
        ...describeFailure(error),
      });
    }
    return look.isSynced;
  }

  /** Calls the host; returns whether it succeeded. */
  async function call(look: Look, action: RowAction): Promise<boolean> {
    const callback = lifecycle?.[action.action] ?? null;
    if (lifecycle === null || callback === null) return true;
    try {
      await callHost(callback, { org: look.claim.org, action, timeoutMs: lifecycle.callbackTimeoutMs });
      return true;
    } catch (error) {
      const { action: name, resource, id } = action;
      const facts = { org: look.claim.org, action: name, resource, id, error: redact(error) };
      warnSometimes(
        logger,
        'A lifecycle callback failed. The next sweep repeats it.',
        facts,
        `${name}\n${resource}`,
      );
      return false;
    }
  }

  function startDeadline(look: Look): void {
    look.endsAt = Math.min(look.endsAt, clock.now() + look.actForMs);
  }

  function count(look: Look, action: RowAction, isDone: boolean): void {
    const outcome = isDone ? TALLY_OF[action.action] : 'failed';
    look.tally = { ...look.tally, [outcome]: look.tally[outcome] + 1 };
    const failures = isDone ? 0 : (look.failuresInARow.get(action.action) ?? 0) + 1;
    look.failuresInARow.set(action.action, failures);
    if (isDone) startDeadline(look);
    else look.failedRows.add(rowName(action));
    telemetry.count('tollgate.sweep.actions', 1, {
      action: action.action,
      outcome: isDone ? 'done' : 'failed',
    });
  }

  return {
    record,
    async perform(look, actions, known, flagged) {
      const { claim } = look;
      const { org } = claim;
      const down = new Map<string, Set<string>>();
      const idsDown = (key: string) => down.get(key) ?? down.set(key, new Set()).get(key) ?? new Set();
      for (const row of known.filter(isDown)) idsDown(row.resource).add(row.id);
      const places = placesOf(flagged);
      const placeOf = (row: ChosenRow) => places.get(rowName(row)) ?? 0;
      /** Picked rows that are gone. A row to be restored is not among the picked ones. */
      const gone: RowAction[] = [];
      /** How many rows of its key were picked before it and still exist. */
      const pickedBefore = (row: RowAction) =>
        placeOf(row) -
        gone.filter((one) => one.resource === row.resource && placeOf(one) < placeOf(row)).length;
      for (const action of actions) {
        if (look.shouldStop() || clock.now() >= look.endsAt) return 'stop';
        if (keepsFailing(look, action)) continue;
        const { resource, id } = action;
        const isFound = await exists(org, action);
        if (isFound === false) {
          if (places.has(rowName(action))) gone.push(action);
          if (!(await record(claim, [], [action]))) return 'stop';
          startDeadline(look);
          continue;
        }
        if (isFound === null) {
          count(look, action, false);
          continue;
        }
        if (action.action === 'remove' && !(await isPaidUp(look, action))) {
          count(look, action, false);
          continue;
        }
        if (action.action !== 'restore') {
          const ids = idsDown(resource);
          const othersDown = action.action === 'remove' ? 0 : ids.has(id) ? ids.size - 1 : ids.size;
          if (!(await hasExcess(org, resource, Math.max(othersDown, pickedBefore(action))))) {
            look.outdated.set(resource, (look.outdated.get(resource) ?? 0) + 1);
            return 'done';
          }
          ids.add(id);
        }
        if (!(await record(claim, [action], []))) return 'stop';
        const isDone = await call(look, action);
        count(look, action, isDone);
        if (!isDone) continue;
        if (action.action === 'remove') gone.push(action);
        const isSaved =
          action.action === 'restore'
            ? await record(claim, [], [action])
            : await record(claim, [{ ...action, state: 'done' }], []);
        if (!isSaved) return 'stop';
      }
      return 'done';
    },
  };
}

/** By row: how many rows of its key were picked before it. */
function placesOf(flagged: readonly ChosenRow[]): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  const sizes = new Map<string, number>();
  for (const row of flagged) {
    const place = sizes.get(row.resource) ?? 0;
    places.set(rowName(row), place);
    sizes.set(row.resource, place + 1);
  }
  return places;
}

/** Whether the row may be suspended now. */
function isDown({ action, state }: RowAction): boolean {
  if (action === 'suspend') return state !== 'sighted';
  return !(action === 'remove' && state === 'done');
}
