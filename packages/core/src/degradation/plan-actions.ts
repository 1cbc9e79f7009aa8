import type { Flag } from '../ports/billing-repository.ts';
import type { RowAction } from '../ports/sweep-list.ts';
import { type ChosenRow, rowName } from './merge-flags.ts';

/** What one look at an org has to write and to do. */
export interface ActionPlan {
  /** To be stored before anything is done. */
  readonly note: readonly RowAction[];
  readonly forget: readonly ChosenRow[];
  /** To be done, in this order; each is stored as `started` first. */
  readonly act: readonly RowAction[];
}

/** What decides the plan. Instants are epoch ms. */
export interface ActionFacts {
  readonly flags: readonly Flag[];
  readonly actions: readonly RowAction[];
  /** The instant at which stages are judged. */
  readonly now: number;
  /** The repository's clock, on which sightings are told apart. */
  readonly readAt: number;
  readonly sightingMs: number;
  /** How long a row must have been flagged, and suspended, before it is removed; null when the host removes nothing. */
  readonly removeAfterMs: number | null;
  /** With which of the actions that were begun before to begin, around in a circle: the first may be those that always fail. */
  readonly startAt: number;
  readonly newKey: () => string;
}

/**
 * Compares what is flagged with what was done, and says what comes next.
 *
 * A row whose state is degraded or marked is suspended, and a marked one then removed if the host does that, `removeAfterMs` after its
 * suspension; each only when it was found due by an earlier look at least `sightingMs` ago. Every other row that may have been suspended is
 * restored, at once and first. What may have been begun is repeated under its own key, and comes after what was not tried yet.
 */
export function planActions(facts: ActionFacts): ActionPlan {
  const flags = new Map(facts.flags.map((flag) => [rowName(flag), flag]));
  const actions = new Map(facts.actions.map((action) => [rowName(action), action]));
  const note: RowAction[] = [];
  const forget: ChosenRow[] = [];
  const fresh: RowAction[] = [];
  const begun: RowAction[] = [];
  // Flags come in the order of the policy.
  for (const name of new Set([...flags.keys(), ...actions.keys()])) {
    const flag = flags.get(name);
    const known = actions.get(name);
    const next = wantsNothing(flag) ? backToActive(known) : onwards(flag, known, facts);
    if (next === 'forget') {
      if (known !== undefined) forget.push(known);
    } else if (next?.state === 'started') (known?.state === 'started' ? begun : fresh).push(next);
    else if (next !== null) note.push(next);
  }
  const start = begun.length > 0 ? facts.startAt % begun.length : 0;
  const inTurn = [...fresh, ...begun.slice(start), ...begun.slice(0, start)];
  return { note, forget, act: IN_ORDER.flatMap((kind) => inTurn.filter(({ action }) => action === kind)) };
}

/** Restores before everything else. Of each, what was begun before comes after what was not tried yet, so that it holds nobody up. */
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
      // A removal counts from the try that went well: it may come weeks after the sighting, where nobody swept or those before failed.
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

/** Its flag may be old where nobody swept for weeks, or the stages were made shorter: its org has not felt the loss yet. */
function wasDownLongEnough({ sightedAt }: RowAction, { readAt, removeAfterMs }: ActionFacts): boolean {
  return removeAfterMs !== null && readAt - sightedAt >= removeAfterMs;
}

function isToBeRemoved(flag: Flag, { now, removeAfterMs }: ActionFacts): boolean {
  return (
    flag.state === 'marked_for_delete' && removeAfterMs !== null && now - flag.flaggedAt >= removeAfterMs
  );
}
