import type { CounterStore } from '@tollgate/core';
import { describe } from 'vitest';
import type { CounterStoreHost } from './counter-store-host.ts';
import { counterBasics } from './counters/basics.ts';
import { counterClockEdges } from './counters/clock-edges.ts';
import { counterLosses } from './counters/losses.ts';
import { counterNumbers } from './counters/numbers.ts';
import { counterOutages } from './counters/outages.ts';
import { counterRaces } from './counters/races.ts';
import { counterRecounts } from './counters/recounts.ts';
import { counterRetries } from './counters/retries.ts';
import { counterUnawaited } from './counters/unawaited.ts';

/** Registers the tests that every counter store must pass. Call it at the top level of a Vitest file. */
export function counterStoreContract<S extends CounterStore>(host: CounterStoreHost<S>): void {
  describe(`counter store contract${host.name === undefined ? '' : `: ${host.name}`}`, () => {
    counterBasics(host);
    counterNumbers(host);
    counterRecounts(host);
    counterRaces(host);
    counterRetries(host);
    counterUnawaited(host);
    counterClockEdges(host);
    counterLosses(host);
    counterOutages(host);
  });
}
