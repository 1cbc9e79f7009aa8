import { type MemoryCounterStore, memoryCounterStore } from '@tollgate/core';
import type { CounterStoreHost } from './counter-store-host.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';

const clocks = new WeakMap<MemoryCounterStore, FakeClock>();

function clockOf(store: MemoryCounterStore): FakeClock {
  const clock = clocks.get(store);
  if (!clock) throw new Error('This store was not made by this host.');
  return clock;
}

/** Runs a contract on the memory counter store. It is an example of a host, and this package's own tests use it. */
export const memoryCounterHost: CounterStoreHost<MemoryCounterStore> = {
  name: 'memory',
  create() {
    const clock = fakeClock();
    const store = memoryCounterStore({ clock });
    clocks.set(store, clock);
    return store;
  },
  createPeer: (store) => store,
  inspect: {
    async counter(store, { org, key, window }) {
      return (
        store
          .contents()
          .counters.find((row) => row.org === org && row.key === key && row.window === window) ?? null
      );
    },
    orgs: async (store) => store.contents().orgs,
    records: async (store) => Object.values(store.contents().records).reduce((sum, count) => sum + count, 0),
  },
  clock: {
    now: (store) => clockOf(store).now(),
    advance: (store, ms) => clockOf(store).advance(ms),
  },
  timing: { leaseMs: 30_000, rememberMs: 86_400_000, lapsedKeepMs: 600_000, slackMs: 0 },
  teardown: (store) => store.close(),
  outage: { impossibleBecause: 'it is this process itself' },
};
