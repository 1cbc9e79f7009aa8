import { memoryBillingRepository } from '@tollgate/core';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { fakeClock } from './fake-clock.ts';
import { type LifecycleHistory, lifecycleHistories, playLifecycleHistory } from './lifecycle-model.ts';

const RUNS = Number(process.env.TOLLGATE_LIFECYCLE_HISTORIES ?? 300);

/** The repository's clock is set back after a change of policy has looked at the org and before the next sweeps. */
const setBack: LifecycleHistory = {
  steps: [
    { do: 'create', org: 'globex', key: 'devices', rows: 1, usedAgoMs: null },
    { do: 'create', org: 'globex', key: 'devices', rows: 3, usedAgoMs: null },
    { do: 'sweep', by: 0, diesAfter: 10, isHeard: true, afterMs: 0, meddlesAt: null },
    { do: 'pass', ms: 1_296_000_000 },
    { do: 'policy', org: 'globex', policy: 'newest_first', by: 0 },
    { do: 'skew', whose: 'repository', ms: -86_400_000 },
    { do: 'sweep', by: 0, diesAfter: 12, isHeard: false, afterMs: 0, meddlesAt: null },
    { do: 'sweep', by: 0, diesAfter: null, isHeard: true, afterMs: 3_600_000, meddlesAt: null },
  ],
  removes: false,
  endsUnlimited: false,
};

/** While the claim of a dead process holds the org, a process whose clock is behind finds nothing due: the earlier sighting remains. */
const heldByTheDead: LifecycleHistory = {
  steps: [
    { do: 'create', org: 'acme', key: 'devices', rows: 4, usedAgoMs: null },
    { do: 'sweep', by: 0, diesAfter: null, isHeard: true, afterMs: 0, meddlesAt: null },
    { do: 'pass', ms: 1_209_600_000 },
    { do: 'race' },
    { do: 'skew', whose: 0, ms: -86_400_000 },
    { do: 'sweep', by: 0, diesAfter: 3, isHeard: false, afterMs: 0, meddlesAt: null },
    { do: 'policy', org: 'acme', policy: 'newest_first', by: 0 },
  ],
  removes: false,
  endsUnlimited: false,
};

/** The org would turn degraded during the last sweeps, too late for its rows to be wound down before the end. */
const turnsInTheEnd: LifecycleHistory = {
  steps: [
    { do: 'create', org: 'acme', key: 'devices', rows: 4, usedAgoMs: null },
    { do: 'look', org: 'acme', by: 0 },
    { do: 'pass', ms: 12 * 86_400_000 - 19_800_000 },
  ],
  removes: false,
  endsUnlimited: false,
};

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
    await fc.assert(property, { numRuns: RUNS, examples: [[setBack], [heldByTheDead], [turnsInTheEnd]] });
  });
});
