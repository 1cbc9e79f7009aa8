import { memoryBillingRepository } from '@tollgate/core';
import { billingRepositoryHistories, fakeClock, playBillingRepositoryHistory } from '@tollgate/testing';
import fc from 'fast-check';
import { repositoryOn } from './postgres-repository.ts';
import type { TestingDatabase } from './testing-database.test-support.ts';

/** Shown in the names of the tests, so that a run can be repeated. */
export const SEED = Number(process.env.TOLLGATE_SEED ?? Date.now() % 2 ** 31);

/** Plays `runs` histories on one database; a failure names its seed and path. */
export async function playHistories(database: TestingDatabase, runs: number, seed: number): Promise<void> {
  const property = fc.asyncProperty(billingRepositoryHistories(), async (history) => {
    await database.clear();
    const clock = fakeClock(database.now());
    const pair = {
      reference: memoryBillingRepository({ clock }),
      subject: repositoryOn(database.open(), database.s, database.clockSql),
      now: () => database.now(),
      advance: async (ms: number) => {
        clock.advance(ms);
        await database.advance(ms);
      },
    };
    await playBillingRepositoryHistory(pair, history);
  });
  await fc.assert(property, { seed, numRuns: runs });
}
