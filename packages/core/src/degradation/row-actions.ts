import { redact } from '../defaults/redact.ts';
import { describeFailure } from '../errors/describe-failure.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { RowAction, SweepClaim } from '../ports/sweep-list.ts';
import { countRows } from '../quota/count-rows.ts';
import type { Wiring } from '../wiring.ts';
import { callHost } from './call-host.ts';
import { findRow } from './list-rows.ts';
import { type ChosenRow, rowName } from './merge-flags.ts';
import { createWarnSometimes } from './warn-sometimes.ts';

/** What was done to rows. */
export interface ActionTally {
  readonly suspended: number;
  readonly restored: number;
  readonly removed: number;
  /** Callbacks that failed or took too long; the next sweep retries them. */
  readonly failed: number;
}

/** One claimed org while it is looked at: counts and refusals add up over the rounds. */
export interface Look {
  readonly claim: SweepClaim;
  /** How long actions are begun once one went well, ms. */
  readonly actForMs: number;
  /** Asked before each action; when true, nothing more is begun. */
  readonly isToEnd: () => boolean;
  /** Rows with which the host failed in this look; they are not tried twice. */
  readonly failedRows: Set<string>;
  /** By action: a host that cannot restore may well suspend. */
  readonly failuresInARow: Map<RowAction['action'], number>;
  /** How often a key's count left no room for an action that was due. */
  readonly outdated: Map<string, number>;
  /** When no more is begun, by the process' clock. */
  endsAt: number;
  tally: ActionTally;
}

/** Does actions of a plan on the host's rows and keeps the record of them. */
export interface RowActions {
  /**
   * Does the actions in order. Before each one its record says `started`, in a write that is refused once the claim is another's; before
   * each suspend and remove the rows are counted again. A row that is gone is forgotten.
   *
   * @param flagged - the rows that are picked, first picked first: of fewer rows too many the last are picked no more.
   *
   * Answers `done` when all were tried that the host does not keep failing with, or when the count left no room for one; `stop` when the
   * claim is lost, or the look or the sweep is to end.
   */
  perform(
    look: Look,
    actions: readonly RowAction[],
    known: readonly RowAction[],
    flagged: readonly ChosenRow[],
  ): Promise<'done' | 'stop'>;
  /** Writes and forgets records of the claim's org; false when the claim is lost. */
  record(
    claim: SweepClaim,
    save: readonly RowAction[],
    forget: readonly { resource: string; id: string }[],
  ): Promise<boolean>;
}

/** After so many failures of one action, one after the other, the host is not asked for it until the next sweep. */
export const MAX_FAILURES_IN_A_ROW = 3;

/** Whether the host has failed with this kind of action too often for this look. */
export function keepsFailing({ failuresInARow }: Look, { action }: RowAction): boolean {
  return (failuresInARow.get(action) ?? 0) >= MAX_FAILURES_IN_A_ROW;
}

const TALLY_OF = { suspend: 'suspended', restore: 'restored', remove: 'removed' } as const;

/** How long a claim lasts that nobody renews, ms: what a sweeper that died can hold an org up. */
export function claimLeaseMs({ lifecycle }: Pick<Wiring['settings'], 'lifecycle'>): number {
  return 6 * (lifecycle?.callbackTimeoutMs ?? 10_000);
}

export function createRowActions(
  wiring: Pick<
    Wiring,
    'catalog' | 'settings' | 'repository' | 'inventory' | 'clock' | 'logger' | 'telemetry'
  >,
  orgViews: Pick<OrgViews, 'fresh'>,
): RowActions {
  const { catalog, settings, repository, inventory, clock, logger, telemetry } = wiring;
  const { lifecycle, inventoryTimeoutMs: timeoutMs } = settings;
  const leaseMs = claimLeaseMs(settings);
  const warn = createWarnSometimes(logger);

  const record: RowActions['record'] = (claim, save, forget) =>
    repository.saveRowActions({ ...claim, leaseMs, save, forget });

  /** Whether rows and limit, both read now, still leave more rows too many than these. */
  async function hasExcess(org: string, resource: string, rows: number): Promise<boolean> {
    const view = await orgViews.fresh(org);
    const limit = view.limit(resource, 'lifetime', clock.now())?.value ?? null;
    if (limit === null) return false;
    const count = await countRows(wiring, org, resource);
    return count - limit > rows;
  }

  /** Whether the row is there; null when the host cannot say. */
  async function isThere(org: string, { resource, id }: RowAction): Promise<boolean | null> {
    // Of a key that is no longer counted the inventory need not know anything: taken for gone, a row would stay suspended.
    if (catalog.quota(resource)?.kind !== 'capacity') return true;
    try {
      return (await findRow(inventory, { org, key: resource, id, timeoutMs })) !== null;
    } catch (error) {
      warn(`find\n${resource}`, 'A row could not be looked up. The next sweep tries again.', {
        org,
        resource,
        ...describeFailure(error),
      });
      return null;
    }
  }

  /** Calls the host; answers whether that went well. */
  async function call(look: Look, action: RowAction): Promise<boolean> {
    const callback = lifecycle?.[action.action] ?? null;
    if (lifecycle === null || callback === null) return true;
    try {
      await callHost(callback, { org: look.claim.org, action, timeoutMs: lifecycle.callbackTimeoutMs });
      return true;
    } catch (error) {
      const { action: name, resource } = action;
      warn(`${name}\n${resource}`, 'A lifecycle callback failed. The next sweep repeats it.', {
        org: look.claim.org,
        action: name,
        resource,
        error: redact(error),
      });
      return false;
    }
  }

  function wentWell(look: Look): void {
    look.endsAt = Math.min(look.endsAt, clock.now() + look.actForMs);
  }

  function count(look: Look, action: RowAction, isDone: boolean): void {
    const outcome = isDone ? TALLY_OF[action.action] : 'failed';
    look.tally = { ...look.tally, [outcome]: look.tally[outcome] + 1 };
    const failures = isDone ? 0 : (look.failuresInARow.get(action.action) ?? 0) + 1;
    look.failuresInARow.set(action.action, failures);
    if (isDone) wentWell(look);
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
      /** Picked rows that went. One that is to be restored was picked before nobody. */
      const gone: RowAction[] = [];
      /** How many rows of its key were picked before it and are there. */
      const pickedBefore = (row: RowAction) =>
        placeOf(row) -
        gone.filter((one) => one.resource === row.resource && placeOf(one) < placeOf(row)).length;
      for (const action of actions) {
        if (look.isToEnd() || clock.now() >= look.endsAt) return 'stop';
        if (keepsFailing(look, action)) continue;
        const { resource, id } = action;
        const isFound = await isThere(org, action);
        if (isFound === false) {
          if (places.has(rowName(action))) gone.push(action);
          if (!(await record(claim, [], [action]))) return 'stop';
          wentWell(look);
          continue;
        }
        if (isFound === null) {
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
        const isKept =
          action.action === 'restore'
            ? await record(claim, [], [action])
            : await record(claim, [{ ...action, state: 'done' }], []);
        if (!isKept) return 'stop';
      }
      return 'done';
    },
  };
}

/** By row: how many of its key were picked before it. */
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

/** Whether the row may be switched off now. */
function isDown({ action, state }: RowAction): boolean {
  if (action === 'suspend') return state !== 'sighted';
  return !(action === 'remove' && state === 'done');
}
