import type { CounterStore } from '@tollgate/core';
import fc from 'fast-check';
import {
  type CounterCommand,
  type CounterGrid,
  CounterHistory,
  type CounterWorld,
  counterStoreCommands,
  readEverything,
} from './model/counter-commands.ts';

export { type CounterGrid, counterStoreCommands } from './model/counter-commands.ts';

/** What histories are run on. */
export interface CounterHistoriesHost {
  /** A store on fresh, empty data, whose clock `advance` moves; `teardown` ends it. */
  create(): Promise<CounterModelStore> | CounterModelStore;
  readonly runs: number;
  /** @default a fresh one, printed when a history fails */
  readonly seed?: number;
  /** The path printed with a failure, to run just that history again. */
  readonly path?: string;
  /** What the store keeps lapsed leases for, ms. */
  readonly lapsedKeepMs: number;
  /**
   * How far the store's clock may drift from the one that is moved, over one history, ms.
   * @default 0: instants are then met to the millisecond
   */
  readonly driftMs?: number;
}

export interface CounterModelStore extends CounterWorld {
  /** The store's clock, epoch ms. */
  now(): Promise<number> | number;
  teardown(): Promise<void> | void;
}

const LEAST_COMMANDS = 45;
const MOST_COMMANDS = 60;

/**
 * Runs histories of 40 and more commands on a store and on a simple model of the port's words, and compares every answer.
 * A failing history is shrunk by leaving commands out; its seed and path are in the error.
 */
export async function runCounterStoreHistories(host: CounterHistoriesHost): Promise<void> {
  const { create, runs, lapsedKeepMs, driftMs = 0 } = host;
  const grid: CounterGrid = {
    stepMs: driftMs === 0 ? 1_000 : 4 * driftMs,
    offsetMs: 2 * driftMs,
    lapsedKeepMs,
  };
  // Every 25th command is left out at random, so that shrinking may leave out any.
  const histories = fc.array(fc.option(counterStoreCommands(grid), { freq: 25 }), {
    minLength: LEAST_COMMANDS,
    maxLength: MOST_COMMANDS,
  });
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const world = await create();
      try {
        const model = new CounterHistory({ startsAt: await world.now(), lapsedKeepMs, slackMs: driftMs });
        const commands = history.filter((command): command is CounterCommand => command !== null);
        await fc.asyncModelRun(() => ({ model, real: world }), commands);
        await readEverything(model, world);
      } finally {
        await world.teardown();
      }
    }),
    {
      numRuns: runs,
      ...(host.seed === undefined ? {} : { seed: host.seed }),
      ...(host.path === undefined ? {} : { path: host.path }),
    },
  );
}

/** The same on any store whose clock is a plain object: `{ store, advance, now, teardown }` from a store and its clock. */
export function counterModelStore(
  store: CounterStore,
  clock: { now(): number; advance(ms: number): void },
): CounterModelStore {
  return { store, now: () => clock.now(), advance: (ms) => clock.advance(ms), teardown: () => store.close() };
}
