import { memoryCounterStore } from '@tollgate/core';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { fakeClock } from './fake-clock.ts';
import { type HostStep, hostSteps, SimulatedHost } from './model/host-simulation.ts';

const histories = fc.record({
  limit: fc.integer({ min: 1, max: 8 }),
  rows: fc.nat(8),
  steps: fc.array(fc.option(hostSteps(), { freq: 25 }), { minLength: 45, maxLength: 70 }),
});

async function play({
  limit,
  rows,
  steps,
}: {
  limit: number;
  rows: number;
  steps: readonly (HostStep | null)[];
}) {
  const clock = fakeClock();
  const host = new SimulatedHost({
    store: memoryCounterStore({ clock }),
    clock,
    limit,
    rows: Math.min(limit, rows),
  });
  for (const step of steps) {
    await step?.act(host);
    await host.check();
  }
  await host.settleDown();
}

describe('a host with real rows', () => {
  it(
    'never has more rows than its limit, and its counts are the truth once it rests (Q1, Q4, Q5, Q6, Q8, Q9)',
    { timeout: 1_200_000 },
    () => fc.assert(fc.asyncProperty(histories, play), { numRuns: 5_000 }),
  );
});
