import { inject, it } from 'vitest';
import { playHistories, SEED } from './play-histories.test-support.ts';
import { postgresForTesting } from './testing-database.test-support.ts';

const NAME = 'memory and Postgres answer alike for 500 histories of commands (Q11, W3)';

it(`${NAME}, seed ${SEED}`, { timeout: 600_000 }, async () => {
  const url = inject('databaseUrl');
  const databases = [await postgresForTesting(url), await postgresForTesting(url)];
  try {
    await Promise.all(databases.map((database, lane) => playHistories(database, 250, SEED + lane)));
  } finally {
    for (const database of databases) await database.drop();
  }
});
