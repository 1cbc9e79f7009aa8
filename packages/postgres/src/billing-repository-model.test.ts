import { memoryBillingRepository } from '@tollgate/core';
import { billingRepositoryHistories, fakeClock, playBillingRepositoryHistory } from '@tollgate/testing';
import fc from 'fast-check';
import { describe, inject, it } from 'vitest';
import { repositoryOn } from './postgres-repository.ts';
import {
  pgliteForTesting,
  postgresForTesting,
  type TestingDatabase,
} from './testing-database.test-support.ts';

const SEED = Number(process.env['TOLLGATE_SEED'] ?? Date.now() % 2 ** 31);

/** Plays as many histories on one database as asked; a failure names its seed and path. */
async function play(database: TestingDatabase, runs: number, seed: number): Promise<void> {
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

describe(`memory and Postgres answer alike for every history of commands (Q11, W3), seed ${SEED}`, () => {
  it('on a real server, 500 histories', { timeout: 120_000 }, async () => {
    const url = inject('databaseUrl');
    const databases = [await postgresForTesting(url), await postgresForTesting(url)];
    try {
      await Promise.all(databases.map((database, lane) => play(database, 250, SEED + lane)));
    } finally {
      for (const database of databases) await database.drop();
    }
  });

  it('on PGlite, 30 histories', { timeout: 120_000 }, async () => {
    const database = await pgliteForTesting();
    try {
      await play(database, 30, SEED);
    } finally {
      await database.drop();
    }
  });
});
