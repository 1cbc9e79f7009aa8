import type { CounterStore } from '@tollgate/core';
import fc from 'fast-check';
import { hostSteps, SimulatedHost } from './model/host-simulation.ts';

/**
 * Runs a simulated host on a counter store: handlers that write rows, crash, get stuck or fail after writing, deletes reported late or
 * never, recounts that read the rows in between. Rejects when there were ever more rows than the limit, fewer units in use than rows
 * may be there, or when the count at rest is not the truth. The seed and path of a failure are in the error.
 */
export async function runSimulatedHosts(options: {
  /** A store on fresh, empty data, with the clock it judges leases on. */
  create(): Promise<SimulatedHostStore> | SimulatedHostStore;
  readonly runs: number;
  /** @default a fresh one */
  readonly seed?: number;
  /** The path printed with a failure, to run just that history again. */
  readonly path?: string;
}): Promise<void> {
  const { create, runs, seed, path } = options;
  const histories = fc.record({
    limit: fc.integer({ min: 1, max: 8 }),
    rows: fc.nat(8),
    // Every 25th step is left out at random, so that shrinking may leave out any.
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
