// #region contract
import type {
  BillingRepository,
  CheckoutAttempt,
  EventOutcome,
  Override,
  StoredSubscription,
} from '@tollgate/core';
import { type BillingRepositoryHost, billingRepositoryContract, fakeClock } from '@tollgate/testing';
import { mapDatabase } from './map-database.ts';
import { nameOf } from './template/host-database.ts';
import { myRepository } from './template/my-repository.ts';

const clock = fakeClock();
let database = mapDatabase(clock);

const host: BillingRepositoryHost = {
  name: 'the template',
  create() {
    database = mapDatabase(clock);
    return myRepository(database);
  },
  // As another process would have: its own object on the same data.
  createPeer: () => myRepository(database),
  // Read past the repository, so that the contract sees what is stored and not what the repository says.
  inspect: {
    subscription: (_, { provider, id }) =>
      database.peek<StoredSubscription>('subscriptions', nameOf(provider, id)),
    event: (_, { provider, livemode, id }) =>
      database.peek<{ result: EventOutcome | null }>('inbox', nameOf(provider, livemode, id)),
    checkout: async (_, org) =>
      (await database.peek<{ attempt: CheckoutAttempt }>('checkouts', org))?.attempt ?? null,
    override: async (_, id) =>
      (await database.all<Override>('overrides')).find((row) => row.id === id) ?? null,
    rows: () => database.countRows(),
  },
  clock: { now: () => clock.now(), advance: (_, ms) => clock.advance(ms) },
  timing: { leaseMs: 30_000, slackMs: 0 },
  teardown: (repository: BillingRepository) => repository.close(),
  outage: { break: () => database.goAway(), mend: () => database.comeBack(), answersWithinMs: 1_000 },
};

billingRepositoryContract(host);
// #endregion
