import type { CounterStore } from '@tollgate/core';
import fc from 'fast-check';
import { hostSteps, SimulatedHost } from './model/host-simulation.ts';

/**
 * Runs a simulated host on a counter store. Its handlers write rows, crash, hang, or fail after writing; deletes are reported late or
 * never; recounts read the rows in between. Rejects if there are ever more rows than the limit or fewer units in use than there may be
 * rows, or if the count at rest is wrong. The error contains the seed and path of the failure.
 */
export async function runSimulatedHosts(options: {
  /** A store on fresh, empty data, with the clock it judges leases by. */
  create(): Promise<SimulatedHostStore> | SimulatedHostStore;
  readonly runs: number;
  /** @default a fresh one */
  readonly seed?: number;
  /** The path printed with a failure; reruns just that history. */
  readonly path?: string;
}): Promise<void> {
  const { create, runs, seed, path } = options;
  const histories = fc.record({
    limit: fc.integer({ min: 1, max: 8 }),
    rows: fc.nat(8),
    // About one step in 25 is left out, so that shrinking can leave out any of them.
    steps: fc.array(fc.option(hostSteps(), { freq: 25 }), { minLength: 45, maxLength: 70 }),
  });
  const property = fc.asyncProperty(histories, async ({ limit, rows, steps }) => {
    const { store, clock } = await create();
    try {
      const host = new SimulatedHost({ store, clock, limit, rows: Math.min(limit, rows) });
      for (const step of steps) {
        await step?.act(host);
        await host.check();
      }
      await host.settleDown();
    } finally {
      await store.close();
    }
  });
  const replay = { ...(seed !== undefined && { seed }), ...(path !== undefined && { path }) };
  await fc.assert(property, { numRuns: runs, ...replay });
}

export interface SimulatedHostStore {
  readonly store: CounterStore;
  readonly clock: { now(): number; advance(ms: number): void };
}
