import { lifecycleHistories, playLifecycleHistory } from '@tollgate/testing';
import fc from 'fast-check';
import { inject, it } from 'vitest';
import { SEED } from './play-histories.test-support.ts';
import { repositoryOn } from './postgres-repository.ts';
import { postgresForTesting } from './testing-database.test-support.ts';

const RUNS = Number(process.env.TOLLGATE_POSTGRES_LIFECYCLE_HISTORIES ?? 25);
const NAME = 'Postgres carries an org through months over capacity, crashes and wrong clocks (D1-D5)';

it(`${NAME}, seed ${SEED}`, { timeout: 1_200_000 }, async () => {
  const database = await postgresForTesting(inject('databaseUrl'));
  try {
    const property = fc.asyncProperty(lifecycleHistories(40), async (history) => {
      await database.clear();
      const stores = {
        repository: repositoryOn(database.open(), database.s, database.clockSql),
        now: () => database.now(),
        advance: (ms: number) => database.advance(ms),
      };
      await playLifecycleHistory(stores, history);
    });
    await fc.assert(property, { seed: SEED, numRuns: RUNS });
  } finally {
    await database.drop();
  }
});
