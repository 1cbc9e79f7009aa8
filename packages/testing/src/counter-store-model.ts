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

/** What histories run on. */
export interface CounterHistoriesHost {
  /** A store on fresh, empty data. `advance` moves its clock; `teardown` closes it. */
  create(): Promise<CounterModelStore> | CounterModelStore;
  readonly runs: number;
  /** @default a fresh one, printed when a history fails */
  readonly seed?: number;
  /** The path printed with a failure; reruns just that history. */
  readonly path?: string;
  /** How long the store keeps lapsed leases, ms. */
  readonly lapsedKeepMs: number;
  /**
   * How far the store's clock may drift, over one history, from the clock that `advance` moves, ms.
   * @default 0: instants are then hit to the millisecond
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
 * Runs histories of dozens of commands on a store and on a simple model of the port's specification, and compares every answer.
 * A failing history is shrunk by leaving commands out; its seed and path are in the error.
 */
export async function runCounterStoreHistories(host: CounterHistoriesHost): Promise<void> {
  const { create, runs, lapsedKeepMs, driftMs = 0 } = host;
  const grid: CounterGrid = {
    stepMs: driftMs === 0 ? 1_000 : 4 * driftMs,
    offsetMs: 2 * driftMs,
    lapsedKeepMs,
  };
  // About one command in 25 is left out, so that shrinking can leave out any of them.
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

/** Makes a {@link CounterModelStore} of any store whose clock is a plain object. */
export function counterModelStore(
  store: CounterStore,
  clock: { now(): number; advance(ms: number): void },
): CounterModelStore {
  return { store, now: () => clock.now(), advance: (ms) => clock.advance(ms), teardown: () => store.close() };
}
