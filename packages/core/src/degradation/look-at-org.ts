import { nextChangeAt } from '../org/next-change.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { RowAction, SweepClaim } from '../ports/sweep-list.ts';
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
} from './row-actions.ts';

/**
 * Looks at one claimed org: evaluates it on counts and limits of now, does what is due, and ends the claim.
 *
 * @param options.claimedAt - the repository's clock at the claim.
 * @param options.lookAgainMs - how soon an org that is not settled is due again.
 * @param options.actForMs - after which no more actions are begun: the org is due again, behind the others. From the first one on that went
 * well: what hangs each time must not keep what is behind it from its turn, nor must a host that is slow to list.
 * @param options.isToEnd - asked before each action; when true, the look ends there.
 * @throws TollgateError when the org could not be evaluated; the claim is ended all the same.
 */
export type LookAtOrg = (
  claim: SweepClaim,
  options: {
    readonly claimedAt: number;
    readonly lookAgainMs: number;
    readonly actForMs: number;
    readonly isToEnd: () => boolean;
  },
) => Promise<ActionTally>;

/** Actions between two evaluations, where there are few. */
const ACTIONS_A_ROUND = 20;
/** About how many evaluations a look may take: a large wind-down has more actions a round instead. */
const MAX_ROUNDS = 40;

export function createLookAtOrg(
  wiring: Pick<
    Wiring,
    'catalog' | 'settings' | 'repository' | 'inventory' | 'clock' | 'ids' | 'logger' | 'telemetry'
  >,
  services: { readonly evaluations: Evaluations; readonly orgViews: Pick<OrgViews, 'fresh' | 'drop'> },
): LookAtOrg {
  const { settings, repository, ids } = wiring;
  const { lifecycle } = settings;
  const { evaluations, orgViews } = services;
  const rowActions = createRowActions(wiring, orgViews);

  async function evaluate(org: string): Promise<Evaluation> {
    orgViews.drop(org);
    return await evaluations.evaluate(org, { lookAt: 'unchanged', use: 'now' });
  }

  /** Does what is due, evaluating anew between the rounds; answers the last evaluation if all is as it should be, else null. */
  async function work(look: Look): Promise<Evaluation | null> {
    const { claim, failedRows, outdated } = look;
    // A key that is outdated twice is left to the next sweep: its count and its list disagree, or change faster than we look.
    const isOutdated = ({ action, resource }: RowAction) =>
      action !== 'restore' && (outdated.get(resource) ?? 0) > 1;
    const isLeft = (action: RowAction) =>
      failedRows.has(rowName(action)) || keepsFailing(look, action) || isOutdated(action);
    let found = await evaluate(claim.org);
    const startedAt = found.readAt;
    if (lifecycle === null) {
      // What a process with a lifecycle suspended is restored when there is one again: until then the org stays on the list.
      const isSettled = isWithinLimits(found) && (await repository.loadRowActions(claim.org)).length === 0;
      return isSettled ? found : null;
    }
    let share: number | null = null;
    for (let round = 1; round <= MAX_ROUNDS + 2; round += 1) {
      const known = await repository.loadRowActions(claim.org);
      const { note, forget, act } = planActions({
        flags: found.report.flagged,
        actions: known,
        now: found.now,
        // One look is one sighting, however many rounds it takes.
        readAt: startedAt,
        sightingMs: lifecycle.sightingMs,
        removeAfterMs: lifecycle.remove === null ? null : (settings.overCapacity?.degradedMs ?? null),
        // A look tries no more after so many failures of an action: the next one goes on behind them.
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

  return async (claim, { claimedAt, lookAgainMs, actForMs, isToEnd }) => {
    const look: Look = {
      claim,
      actForMs,
      isToEnd,
      endsAt: Number.POSITIVE_INFINITY,
      failedRows: new Set(),
      failuresInARow: new Map(),
      outdated: new Map(),
      tally: { suspended: 0, restored: 0, removed: 0, failed: 0 },
    };
    // Never due again in the same sweep, whatever the clocks say meanwhile.
    const soonest = claimedAt + 1;
    let lookAt: number | null = soonest + lookAgainMs;
    try {
      const settled = await work(look);
      if (settled !== null) {
        // A spell begins when it should: the sweep looks again when time alone changes a limit.
        const change = nextChangeAt(
          await repository.loadOrg(claim.org),
          settled.now,
          settings.pastDueGraceMs,
        );
        lookAt = change === null ? null : Math.max(change, soonest);
      }
    } finally {
      // Where this fails too, the claim runs out by itself.
      await repository.finishSweep({ ...claim, lookAt }).catch(() => false);
    }
    return look.tally;
  };
}

function isWithinLimits({ report, version }: Evaluation): boolean {
  return !report.overCapacity && version !== null;
}

/**
 * The actions of the next round. Removals come few at a time: nothing undoes them.
 *
 * @param share - the part of the look's first list that is done a round.
 */
function roundOf(due: readonly RowAction[], share: number): readonly RowAction[] {
  const firstRemoval = due.findIndex(({ action }) => action === 'remove');
  if (firstRemoval === 0) return due.slice(0, share);
  const size = Math.max(ACTIONS_A_ROUND, share);
  return due.slice(0, firstRemoval < 0 ? size : Math.min(size, firstRemoval));
}
