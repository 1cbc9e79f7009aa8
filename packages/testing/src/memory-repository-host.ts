import { type MemoryBillingRepository, memoryBillingRepository } from '@tollgate/core';
import type { BillingRepositoryHost } from './billing-repository-host.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';

const clocks = new WeakMap<MemoryBillingRepository, FakeClock>();

function clockOf(repository: MemoryBillingRepository): FakeClock {
  const clock = clocks.get(repository);
  if (!clock) throw new Error('This repository was not made by this host.');
  return clock;
}

/** Runs a contract on the memory repository. It is an example of a host, and this package's own tests use it. */
export const memoryRepositoryHost: BillingRepositoryHost<MemoryBillingRepository> = {
  name: 'memory',
  create() {
    const clock = fakeClock();
    const repository = memoryBillingRepository({ clock });
    clocks.set(repository, clock);
    return repository;
  },
  createPeer: (repository) => repository,
  inspect: {
    async subscription(repository, { provider, id }) {
      const rows = [...repository.contents().subscriptions.values()];
      return rows.find((row) => row.provider === provider && row.id === id) ?? null;
    },
    async event(repository, { provider, livemode, id }) {
      const rows = [...repository.contents().inbox.values()];
      const isAsked = ({ event }: (typeof rows)[number]) =>
        event.provider === provider && event.livemode === livemode && event.id === id;
      return rows.find(isAsked) ?? null;
    },
    checkout: async (repository, org) => repository.contents().checkouts.get(org)?.attempt ?? null,
    async override(repository, id) {
      return [...repository.contents().overrides.values()].find((row) => row.id === id) ?? null;
    },
    async rows(repository) {
      const tables = Object.values(repository.contents());
      return tables.reduce((sum, table) => sum + (table instanceof Map ? table.size : table.length), 0);
    },
  },
  clock: {
    now: (repository) => clockOf(repository).now(),
    advance: (repository, ms) => clockOf(repository).advance(ms),
  },
  timing: { leaseMs: 30_000, slackMs: 0 },
  teardown: (repository) => repository.close(),
  outage: { impossibleBecause: 'it is this process itself' },
};
