import { nextChangeAt } from '../org/next-change.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { RowAction, SweepClaim } from '../ports/sweep-list.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import type { Evaluation, Evaluations } from './evaluations.ts';
import { rowName } from './merge-flags.ts';
import { planActions } from './plan-actions.ts';
import {
  type ActionTally,
  createRowActions,
  keepsFailing,
  type Look,
  MAX_FAILURES_IN_A_ROW,
  type SyncOrg,
} from './row-actions.ts';

/**
 * Processes one claimed org: evaluates it with fresh counts and limits, performs the actions that are due, and ends the claim.
 *
 * @param options.claimedAt - the repository's clock at the claim.
 * @param options.lookAgainMs - how soon an org that is not settled is due again.
 * @param options.actForMs - how long actions are begun; then the org is due again, behind the others. Measured from the first success, so
 * that neither actions that always hang nor a host that is slow to list use up the time of the actions behind them.
 * @param options.shouldStop - asked before each action; when true, the look ends there.
 * @throws TollgateError if the org could not be evaluated; the claim is ended nevertheless.
 */
export type LookAtOrg = (
  claim: SweepClaim,
  options: {
    readonly claimedAt: number;
    readonly lookAgainMs: number;
    readonly actForMs: number;
    readonly shouldStop: () => boolean;
  },
) => Promise<ActionTally>;

/** Actions between two evaluations, unless there are too many for that. */
const ACTIONS_A_ROUND = 20;
/** About how many evaluations a look may take: a large wind-down does more actions a round instead. */
const MAX_ROUNDS = 40;

export function createLookAtOrg(
  wiring: Pick<
    Wiring,
    'catalog' | 'settings' | 'repository' | 'inventory' | 'clock' | 'ids' | 'logger' | 'telemetry'
  >,
  services: {
    readonly evaluations: Evaluations;
    readonly orgViews: Pick<OrgViews, 'fresh' | 'drop'>;
    readonly sync: SyncOrg;
  },
): LookAtOrg {
  const { settings, repository, ids, logger } = wiring;
  const { lifecycle } = settings;
  const { evaluations, orgViews } = services;
  const rowActions = createRowActions(wiring, services);

  async function evaluate(org: string): Promise<Evaluation> {
    orgViews.drop(org);
    return await evaluations.evaluate(org, { lookAt: 'unchanged', use: 'now' });
  }

  /** Does what is due, with a new evaluation after each round. Returns the last evaluation if nothing is left to do, else null. */
  async function work(look: Look): Promise<Evaluation | null> {
    const { claim, failedRows, outdated } = look;
    // A key that is outdated twice is left to the next sweep: its count and its list disagree, or change faster than they are read.
    const isOutdated = ({ action, resource }: RowAction) =>
      action !== 'restore' && (outdated.get(resource) ?? 0) > 1;
    const isLeft = (action: RowAction) =>
      failedRows.has(rowName(action)) || keepsFailing(look, action) || isOutdated(action);
    let found = await evaluate(claim.org);
    const startedAt = found.readAt;
    if (lifecycle === null) {
      // Rows suspended by a process with a lifecycle can only be restored by such a process: until then the org stays on the list.
      if (!isWithinLimits(found)) return null;
      const { length: rows } = await repository.loadRowActions(claim.org);
      if (rows === 0) return found;
      warnSometimes(
        logger,
        'An org is within its limits, but rows stay suspended: no `lifecycle` is given here that could restore them.',
        { org: claim.org, rows },
      );
      return null;
    }
    let share: number | null = null;
    for (let round = 1; round <= MAX_ROUNDS + 2; round += 1) {
      const known = await repository.loadRowActions(claim.org);
      const { note, forget, act } = planActions({
        flags: found.report.flagged,
        actions: known,
        now: found.now,
        // A look is one sighting, however many rounds it takes.
        readAt: startedAt,
        sightingMs: lifecycle.sightingMs,
        removeAfterMs: lifecycle.remove === null ? null : (settings.overCapacity?.degradedMs ?? null),
        // A look gives an action up after this many failures: the next look starts behind them.
        startAt: claim.fence * MAX_FAILURES_IN_A_ROW,
        newKey: () => ids.next(),
      });
      if (note.length + forget.length > 0 && !(await rowActions.record(claim, note, forget))) break;
      const due = act.filter((action) => !isLeft(action));
      if (due.length === 0) {
        const isQuiet = act.length === 0 && note.length === 0 && known.length === forget.length;
        return isQuiet && isWithinLimits(found) ? found : null;
      }
      share ??= Math.ceil(due.length / MAX_ROUNDS);
      const { flagged } = found.report;
      if ((await rowActions.perform(look, roundOf(due, share), known, flagged)) === 'stop') break;
      found = await evaluate(claim.org);
    }
    return null;
  }

  return async (claim, { claimedAt, lookAgainMs, actForMs, shouldStop }) => {
    const look: Look = {
      claim,
      actForMs,
      shouldStop,
      endsAt: Number.POSITIVE_INFINITY,
      failedRows: new Set(),
      isSynced: null,
      failuresInARow: new Map(),
      outdated: new Map(),
      tally: { suspended: 0, restored: 0, removed: 0, failed: 0 },
    };
    // Later than the claim, so that the org is never due again in the same sweep, whatever the clocks say.
    const soonest = claimedAt + 1;
    let lookAt: number | null = soonest + lookAgainMs;
    try {
      const settled = await work(look);
      if (settled !== null) {
        // The sweep looks again when time alone changes a limit, so that a spell begins on time.
        const change = nextChangeAt(
          await repository.loadOrg(claim.org),
          settled.now,
          settings.pastDueGraceMs,
        );
        lookAt = change === null ? null : Math.max(change, soonest);
      }
    } finally {
      // If this fails too, the claim expires by itself.
      await repository.finishSweep({ ...claim, lookAt }).catch(() => false);
    }
    return look.tally;
  };
}

function isWithinLimits({ report, version }: Evaluation): boolean {
  return !report.overCapacity && version !== null;
}

/**
 * The actions of the next round. Removals are done a few at a time, since they cannot be undone.
 *
 * @param share - how many actions a round spread the look's first list over its rounds.
 */
function roundOf(due: readonly RowAction[], share: number): readonly RowAction[] {
  const firstRemoval = due.findIndex(({ action }) => action === 'remove');
  if (firstRemoval === 0) return due.slice(0, share);
  const size = Math.max(ACTIONS_A_ROUND, share);
  return due.slice(0, firstRemoval < 0 ? size : Math.min(size, firstRemoval));
}
