import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STAGES, stageAt } from './stage-at.ts';

const DAY = 86_400_000;
const lengths = { warnedMs: 14 * DAY, degradedMs: 14 * DAY };
const standing = (ms: number) => stageAt({ overCapacityAt: 1_000, now: 1_000 + ms, ...lengths });

describe('the stage table', () => {
  it.each([
    ['none, level 0, within limits', { stage: 'none', level: 0 }, null],
    ['warned from the first moment over', { stage: 'warned', level: 0 }, 0],
    ['warned for 14 days', { stage: 'warned', level: 0 }, 14 * DAY - 1],
    ['degraded from then on, level still 0', { stage: 'degraded', level: 0 }, 14 * DAY],
    ['degraded, level a quarter after a quarter of the time', { stage: 'degraded', level: 0.25 }, 17.5 * DAY],
    ['degraded, level a half in the middle', { stage: 'degraded', level: 0.5 }, 21 * DAY],
    [
      'degraded to the last moment of the next 14 days',
      { stage: 'degraded', level: 1 - 1 / (14 * DAY) },
      28 * DAY - 1,
    ],
    ['marked for delete after that, level 1', { stage: 'marked_for_delete', level: 1 }, 28 * DAY],
    ['marked for delete for good', { stage: 'marked_for_delete', level: 1 }, 2_800 * DAY],
  ])('is %s', (_, expected, ms) => {
    expect(ms === null ? stageAt({ overCapacityAt: null, now: 5, ...lengths }) : standing(ms)).toEqual(
      expected,
    );
  });

  it('D4: reads a clock that was set back to before the spell as its first moment', () => {
    expect(standing(-1)).toEqual({ stage: 'warned', level: 0 });
    expect(standing(-DAY)).toEqual({ stage: 'warned', level: 0 });
  });

  it('skips stages of no length', () => {
    const at = (warnedMs: number, degradedMs: number) =>
      stageAt({ overCapacityAt: 0, now: 0, warnedMs, degradedMs });
    expect(at(0, 5)).toEqual({ stage: 'degraded', level: 0 });
    expect(at(0, 0)).toEqual({ stage: 'marked_for_delete', level: 1 });
  });

  it('D5: never goes back as time passes, and keeps its level in [0,1], 0 while warned and 1 once marked', () => {
    const length = fc.integer({ min: 0, max: 30 * DAY });
    fc.assert(
      fc.property(length, length, length, length, (warnedMs, degradedMs, first, later) => {
        const early = stageAt({ overCapacityAt: 0, now: Math.min(first, later), warnedMs, degradedMs });
        const late = stageAt({ overCapacityAt: 0, now: Math.max(first, later), warnedMs, degradedMs });
        expect(STAGES.indexOf(late.stage)).toBeGreaterThanOrEqual(STAGES.indexOf(early.stage));
        expect(late.level).toBeGreaterThanOrEqual(early.level);
        for (const { stage, level } of [early, late]) {
          expect(level).toBeGreaterThanOrEqual(0);
          expect(level).toBeLessThanOrEqual(1);
          if (stage === 'warned') expect(level).toBe(0);
          if (stage === 'marked_for_delete') expect(level).toBe(1);
        }
      }),
    );
  });
});
