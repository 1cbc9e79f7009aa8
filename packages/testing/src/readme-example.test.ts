import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { memoryBillingRepository } from '@tollgate/core';
import { expect, it } from 'vitest';
import { billingRepositoryContract, fakeClock } from './index.ts';

// #region example
const clock = fakeClock();

billingRepositoryContract({
  name: 'mine',
  // Your own repository, on an empty database. Here the memory one stands in its place.
  create: () => memoryBillingRepository({ clock }),
  // A second handle on the same data, as another process would have. In one process it is the same object.
  createPeer: (repository) => repository,
  // Plain reads behind your repository's back, by SQL or whatever your database speaks.
  inspect: {
    subscription: async (repository, { provider, id }) =>
      [...repository.contents().subscriptions.values()].find(
        (row) => row.provider === provider && row.id === id,
      ) ?? null,
    event: async (repository, { provider, livemode, id }) =>
      repository.contents().inbox.get(JSON.stringify([provider, livemode, id])) ?? null,
    checkout: async (repository, org) => repository.contents().checkouts.get(org)?.attempt ?? null,
    override: async (repository, id) =>
      [...repository.contents().overrides.values()].find((row) => row.id === id) ?? null,
    rows: async (repository) =>
      Object.values(repository.contents()).reduce(
        (sum, table) => sum + (table instanceof Map ? table.size : table.length),
        0,
      ),
  },
  // The clock leases are judged on. With a real one, take small leases and let `advance` wait.
  clock: { now: () => clock.now(), advance: (_, ms) => clock.advance(ms) },
  timing: { leaseMs: 30_000, slackMs: 0 },
  teardown: (repository) => repository.close(),
  // { break, mend, answersWithinMs } where there is a server that can be stopped.
  outage: { impossibleBecause: 'it is this process itself' },
});
// #endregion

it('the example in the README is the one that runs here', () => {
  const read = (path: string) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8');
  const [, example] =
    /\/\/ #region example\n([\s\S]*?)\/\/ #endregion/.exec(read('readme-example.test.ts')) ?? [];
  expect(example).toBeDefined();
  expect(read('../README.md')).toContain(example);
});
