import type { Flag } from '../ports/billing-repository.ts';
import type { RowAction } from '../ports/sweep-list.ts';
import { type ChosenRow, rowName } from './merge-flags.ts';

/** What one look at an org has to store and to do. */
export interface ActionPlan {
  /** To be stored before any action. */
  readonly note: readonly RowAction[];
  readonly forget: readonly ChosenRow[];
  /** To be performed in this order; each is first stored as `started`. */
  readonly act: readonly RowAction[];
}

/** What decides the plan. Instants are epoch ms. */
export interface ActionFacts {
  readonly flags: readonly Flag[];
  readonly actions: readonly RowAction[];
  /** The instant at which the stage was judged. */
  readonly now: number;
  /** The repository's clock, on which the time between sightings is measured. */
  readonly readAt: number;
  readonly sightingMs: number;
  /** How long a row must have been flagged, and suspended, before it is removed; null if the host removes nothing. */
  readonly removeAfterMs: number | null;
  /** Where to start among the actions begun before, modulo their number: those that always fail must not always come first. */
  readonly startAt: number;
  readonly newKey: () => string;
}

/**
 * Compares what is flagged with what was done, and plans what comes next.
 *
 * A row whose state is degraded or marked is suspended. If the host removes rows, a marked one is removed `removeAfterMs` after its
 * suspension. Either happens only if an earlier look, at least `sightingMs` ago, found it due. Every other row that may have been
 * suspended is restored immediately, before everything else. An action that may have been begun is retried with its own key, after
 * those not tried yet.
 */
export function planActions(facts: ActionFacts): ActionPlan {
  const flags = new Map(facts.flags.map((flag) => [rowName(flag), flag]));
  const actions = new Map(facts.actions.map((action) => [rowName(action), action]));
  const note: RowAction[] = [];
  const forget: ChosenRow[] = [];
  const fresh: RowAction[] = [];
  const retries: RowAction[] = [];
  // Flags are in the policy's order.
  for (const name of new Set([...flags.keys(), ...actions.keys()])) {
    const flag = flags.get(name);
    const known = actions.get(name);
    const next = wantsNothing(flag) ? backToActive(known) : onwards(flag, known, facts);
    if (next === 'forget') {
      if (known !== undefined) forget.push(known);
    } else if (next?.state === 'started') (known?.state === 'started' ? retries : fresh).push(next);
    else if (next !== null) note.push(next);
  }
  const start = retries.length > 0 ? facts.startAt % retries.length : 0;
  const ordered = [...fresh, ...retries.slice(start), ...retries.slice(0, start)];
  return { note, forget, act: IN_ORDER.flatMap((kind) => ordered.filter(({ action }) => action === kind)) };
}

/** Restores come first. Of each kind, retries come after what was not tried yet, so that they hold nothing up. */
const IN_ORDER = ['restore', 'suspend', 'remove'] as const;

function wantsNothing(flag: Flag | undefined): flag is undefined | (Flag & { state: 'flagged' }) {
  return flag === undefined || flag.state === 'flagged';
}

function backToActive(known: RowAction | undefined): RowAction | 'forget' | null {
  if (known === undefined) return null;
  if (known.action === 'suspend' && known.state === 'sighted') return 'forget';
  return { ...known, action: 'restore', state: 'started' };
}

function onwards(flag: Flag, known: RowAction | undefined, facts: ActionFacts): RowAction | null {
  const { readAt, sightingMs } = facts;
  if (known === undefined) {
    const { resource, id } = flag;
    return { resource, id, action: 'suspend', state: 'sighted', key: facts.newKey(), sightedAt: readAt };
  }
  const isConfirmed = readAt - known.sightedAt >= sightingMs;
  switch (known.action) {
    case 'restore':
      return known;
    case 'suspend':
      // Removal counts from the attempt that succeeds, which may be weeks after the sighting: nobody swept, or earlier attempts failed.
      if (known.state === 'started') return { ...known, sightedAt: readAt };
      if (known.state === 'sighted')
        return isConfirmed ? { ...known, state: 'started', sightedAt: readAt } : null;
      return isToBeRemoved(flag, facts) && wasDownLongEnough(known, facts)
        ? { ...known, action: 'remove', state: 'sighted', sightedAt: readAt }
        : null;
    case 'remove':
      if (known.state === 'done') return null;
      if (!isToBeRemoved(flag, facts)) return { ...known, action: 'suspend', state: 'done' };
      if (known.state === 'started') return known;
      return isConfirmed ? { ...known, state: 'started' } : null;
  }
}

/** An old flag is not enough: if nobody swept for weeks, or the stages were shortened, the org has not yet noticed the loss. */
function wasDownLongEnough({ sightedAt }: RowAction, { readAt, removeAfterMs }: ActionFacts): boolean {
  return removeAfterMs !== null && readAt - sightedAt >= removeAfterMs;
}

function isToBeRemoved(flag: Flag, { now, removeAfterMs }: ActionFacts): boolean {
  return (
    flag.state === 'marked_for_delete' && removeAfterMs !== null && now - flag.flaggedAt >= removeAfterMs
  );
}
