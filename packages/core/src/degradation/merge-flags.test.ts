import { describe, expect, it } from 'vitest';
import { mergeFlags, rowName, sameFlags } from './merge-flags.ts';

const device = (id: string) => ({ resource: 'devices', id });

describe('merging flags', () => {
  it('flags newly chosen rows now and keeps the times of the others', () => {
    const stored = mergeFlags([], [device('a'), device('b')], 'warned', 100);
    expect(mergeFlags(stored, [device('b'), device('c')], 'warned', 200)).toEqual([
      { ...device('b'), state: 'flagged', flaggedAt: 100, markedAt: null },
      { ...device('c'), state: 'flagged', flaggedAt: 200, markedAt: null },
    ]);
  });

  it('moves every row on to the state of the stage', () => {
    const flagged = mergeFlags([], [device('a')], 'warned', 100);
    const degraded = mergeFlags(flagged, [device('a')], 'degraded', 200);
    expect(degraded).toEqual([{ ...device('a'), state: 'degraded', flaggedAt: 100, markedAt: null }]);
    const marked = mergeFlags(degraded, [device('a')], 'marked_for_delete', 300);
    expect(marked).toEqual([{ ...device('a'), state: 'marked_for_delete', flaggedAt: 100, markedAt: 300 }]);
    expect(mergeFlags(marked, [device('a')], 'marked_for_delete', 400)).toEqual(marked);
  });

  it('forgets the mark of a row whose org went back to degraded, so that a wrong clock leaves no trace', () => {
    const marked = mergeFlags([], [device('a')], 'marked_for_delete', 300);
    expect(mergeFlags(marked, [device('a')], 'degraded', 200)).toMatchObject([
      { state: 'degraded', markedAt: null },
    ]);
  });

  it('leaves nothing within limits', () => {
    const stored = mergeFlags([], [device('a')], 'warned', 100);
    expect(mergeFlags(stored, [device('a')], 'none', 200)).toEqual([]);
  });

  it('tells rows of different resources with one id apart, however they are spelled', () => {
    const stored = mergeFlags([], [{ resource: 'devices', id: 'x' }], 'warned', 100);
    expect(mergeFlags(stored, [{ resource: 'zones', id: 'x' }], 'warned', 200)).toMatchObject([
      { flaggedAt: 200 },
    ]);
    expect(rowName({ resource: 'a', id: '","b' })).not.toBe(rowName({ resource: 'a","', id: 'b' }));
  });

  it('knows equal lists of flags from different ones', () => {
    const flags = mergeFlags([], [device('a'), device('b')], 'warned', 100);
    expect(sameFlags(flags, [...flags])).toBe(true);
    expect(sameFlags(flags, flags.slice(1))).toBe(false);
    expect(sameFlags(flags, mergeFlags(flags, [device('a'), device('b')], 'degraded', 100))).toBe(false);
    expect(sameFlags(flags, [...flags].reverse())).toBe(false);
  });
});
