import { memoryBillingRepository } from '@tollgate/core';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { fakeClock } from './fake-clock.ts';
import { lifecycleHistories, playLifecycleHistory } from './lifecycle-model.ts';

const RUNS = Number(process.env.TOLLGATE_LIFECYCLE_HISTORIES ?? 300);

describe('the over-capacity lifecycle on memory', () => {
  it('keeps its promises through months of changes, crashes and wrong clocks (D1-D5)', {
    timeout: 1_200_000,
  }, async () => {
    const property = fc.asyncProperty(lifecycleHistories(), async (history) => {
      const clock = fakeClock();
      const repository = memoryBillingRepository({ clock });
      const stores = { repository, now: clock.now, advance: async (ms: number) => clock.advance(ms) };
      await playLifecycleHistory(stores, history);
    });
    await fc.assert(property, { numRuns: RUNS });
  });
});
