import { memoryCounterStore } from '@tollgate/core';
import { describe, it } from 'vitest';
import { runSimulatedHosts } from './counter-host-histories.ts';
import { fakeClock } from './fake-clock.ts';

describe('a host with real rows on the memory counter store', () => {
  it(
    'never has more rows than its limit, and its counts are the truth at rest (Q1, Q4, Q5, Q6, Q8, Q9)',
    {
      timeout: 1_200_000,
    },
    () =>
      runSimulatedHosts({
        runs: 5_000,
        create() {
          const clock = fakeClock();
          return { store: memoryCounterStore({ clock }), clock };
        },
      }),
  );
});
