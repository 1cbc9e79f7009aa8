import { describe, expect, it } from 'vitest';
import type { Flag } from '../ports/billing-repository.ts';
import type { RowAction } from '../ports/sweep-list.ts';
import { type ActionFacts, planActions } from './plan-actions.ts';

const NOW = 1_000_000;
const flag = (state: Flag['state'], id = 'd1', flaggedAt = 0): Flag => ({
  resource: 'devices',
  id,
  state,
  flaggedAt,
  markedAt: state === 'marked_for_delete' ? NOW : null,
});
const action = (
  name: RowAction['action'],
  state: RowAction['state'],
  sightedAt = 0,
  id = 'd1',
): RowAction => ({
  resource: 'devices',
  id,
  action: name,
  state,
  key: 'k',
  sightedAt,
});
const plan = (facts: Partial<ActionFacts>) =>
  planActions({
    flags: [],
    actions: [],
    now: NOW,
    readAt: NOW,
    sightingMs: 1_000,
    removeAfterMs: 500_000,
    startAt: 0,
    newKey: () => 'new',
    ...facts,
  });
const nothing = { note: [], forget: [], act: [] };

describe('planning what is done to a row', () => {
  it('does nothing to a flagged row', () => {
    expect(plan({ flags: [flag('flagged')] })).toEqual(nothing);
  });

  it('D4: notes a degraded row at the first sighting and suspends it at one an interval later', () => {
    const flags = [flag('degraded')];
    const first = plan({ flags });
    expect(first).toEqual({
      ...nothing,
      note: [{ ...action('suspend', 'sighted', NOW), key: 'new' }],
    });
    const actions = first.note;
    expect(plan({ flags, actions, readAt: NOW + 999 })).toEqual(nothing);
    expect(plan({ flags, actions, readAt: NOW - 999_999 })).toEqual(nothing);
    expect(plan({ flags, actions, readAt: NOW + 1_000 }).act).toEqual([
      { ...actions[0], state: 'started', sightedAt: NOW + 1_000 },
    ]);
  });

  it('D3: repeats under the same key what may have been begun, and leaves alone what is done', () => {
    const flags = [flag('degraded')];
    const begun = action('suspend', 'started', NOW);
    expect(plan({ flags, actions: [begun] })).toEqual({ ...nothing, act: [begun] });
    expect(plan({ flags, actions: [action('suspend', 'done')] })).toEqual(nothing);
  });

  it('forgets a sighting that is not confirmed', () => {
    const sighted = action('suspend', 'sighted');
    expect(plan({ actions: [sighted] })).toEqual({ ...nothing, forget: [sighted] });
    expect(plan({ actions: [sighted], flags: [flag('flagged')] })).toEqual({ ...nothing, forget: [sighted] });
  });

  it.each([
    action('suspend', 'started'),
    action('suspend', 'done'),
    action('remove', 'sighted'),
    action('remove', 'started'),
    action('remove', 'done'),
    action('restore', 'started'),
  ])('D5: restores at once a row that is no longer picked, after $action $state', (known) => {
    const restore = { ...known, action: 'restore', state: 'started' };
    expect(plan({ actions: [known] })).toEqual({ ...nothing, act: [restore] });
    expect(plan({ actions: [known], flags: [flag('flagged')] })).toEqual({ ...nothing, act: [restore] });
  });

  it('finishes a restore before the row is suspended anew', () => {
    const restore = action('restore', 'started');
    expect(plan({ flags: [flag('degraded')], actions: [restore] })).toEqual({ ...nothing, act: [restore] });
  });

  it('D7: removes nothing for a host that removes nothing', () => {
    const flags = [flag('marked_for_delete')];
    const done = action('suspend', 'done');
    expect(plan({ flags, actions: [done], removeAfterMs: null })).toEqual(nothing);
    // It may have been one that did, until it was deployed anew.
    for (const state of ['sighted', 'started'] as const) {
      const actions = [action('remove', state)];
      expect(plan({ flags, actions, removeAfterMs: null })).toEqual({ ...nothing, note: [done] });
    }
  });

  it('D4: removes a marked row that is suspended, at the second sighting of that', () => {
    const flags = [flag('marked_for_delete')];
    const first = plan({ flags, actions: [action('suspend', 'done')] });
    expect(first).toEqual({ ...nothing, note: [action('remove', 'sighted', NOW)] });
    expect(plan({ flags, actions: first.note, readAt: NOW + 999 })).toEqual(nothing);
    const begun = action('remove', 'started', NOW);
    expect(plan({ flags, actions: first.note, readAt: NOW + 1_000 })).toEqual({ ...nothing, act: [begun] });
    expect(plan({ flags, actions: [begun] })).toEqual({ ...nothing, act: [begun] });
    expect(plan({ flags, actions: [action('remove', 'done')] })).toEqual(nothing);
  });

  it('removes no row that was picked itself less than the degraded stage ago', () => {
    const picked = (ago: number) => [flag('marked_for_delete', 'd1', NOW - ago)];
    const actions = [action('suspend', 'done')];
    expect(plan({ flags: picked(499_999), actions })).toEqual(nothing);
    expect(plan({ flags: picked(500_000), actions }).note).toHaveLength(1);
    expect(plan({ flags: [flag('marked_for_delete')], actions: [] }).note).toMatchObject([
      { action: 'suspend' },
    ]);
  });

  it('removes no row that was suspended less than the degraded stage ago', () => {
    const flags = [flag('marked_for_delete')];
    const suspended = (ago: number) => [action('suspend', 'done', NOW - ago)];
    expect(plan({ flags, actions: suspended(499_999) })).toEqual(nothing);
    expect(plan({ flags, actions: suspended(500_000) }).note).toMatchObject([{ action: 'remove' }]);
    expect(plan({ flags, actions: suspended(0), removeAfterMs: 0 }).note).toMatchObject([
      { action: 'remove' },
    ]);
  });

  it('takes a removal back when the org is no longer marked', () => {
    const done = [action('suspend', 'done')];
    expect(plan({ flags: [flag('degraded')], actions: [action('remove', 'sighted')] }).note).toEqual(done);
    expect(plan({ flags: [flag('degraded')], actions: [action('remove', 'started')] }).note).toEqual(done);
  });

  it('restores first and removes last, and tries what failed before after what was not tried yet', () => {
    const flags = ['s1', 's2'].map((id) => flag('degraded', id));
    const marked = ['r1', 'r2'].map((id) => flag('marked_for_delete', id));
    const { act } = plan({
      flags: [...marked, ...flags],
      actions: [
        action('remove', 'started', 0, 'r1'),
        action('remove', 'sighted', 0, 'r2'),
        action('suspend', 'started', 0, 's1'),
        action('suspend', 'sighted', 0, 's2'),
        action('suspend', 'done', 0, 'gone'),
      ],
    });
    expect(act.map(({ id }) => id)).toEqual(['gone', 's2', 's1', 'r2', 'r1']);
  });

  it('begins with another one of what failed before each time', () => {
    const begun = ['a', 'b', 'c', 'd'].map((id) => action('suspend', 'started', 0, id));
    const orderAt = (startAt: number) =>
      plan({ actions: [...begun, action('suspend', 'done', 0, 'e')], startAt })
        .act.map(({ id }) => id)
        .join('');
    expect([0, 3, 6, 9].map(orderAt)).toEqual(['eabcd', 'edabc', 'ecdab', 'ebcda']);
  });
});
