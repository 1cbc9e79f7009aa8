import { memoryCounterStore } from '@tollgate/core';
import { describe, it } from 'vitest';
import { counterModelStore, runCounterStoreHistories } from './counter-store-model.ts';
import { fakeClock } from './fake-clock.ts';

const RUNS = Number(process.env.TOLLGATE_MEMORY_HISTORIES ?? 10_000);

describe('the memory counter store', () => {
  it('answers every history as the port says (Q11)', { timeout: 1_200_000 }, () =>
    runCounterStoreHistories({
      runs: RUNS,
      lapsedKeepMs: 20_000,
      create() {
        const clock = fakeClock();
        return counterModelStore(memoryCounterStore({ clock, lapsedKeepMs: 20_000 }), clock);
      },
    }),
  );
});
