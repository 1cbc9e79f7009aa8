import { PGlite } from '@electric-sql/pglite';
import { billingRepositoryContract } from '@tollgate/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { pgliteDatabase } from './database/pglite-database.ts';
import { playHistories, SEED } from './play-histories.test-support.ts';
import { repositoryOn } from './postgres-repository.ts';
import { repositoryHostOn } from './repository-host.test-support.ts';
import { pgliteForTesting, type TestingDatabase } from './testing-database.test-support.ts';

// PGlite has one connection and hides races: what happens at once is tested on a real server.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });
let database: TestingDatabase;
const host = repositoryHostOn('PGlite', pgliteForTesting, { impossibleBecause: 'it is in this process' });

beforeAll(async () => {
  database = await pgliteForTesting();
});
afterAll(async () => {
  await host.drop();
  await database.drop();
});

billingRepositoryContract(host);

describe('PGlite', () => {
  it(`answers like memory for every history of commands (Q11), seed ${SEED}`, { timeout: 120_000 }, () =>
    playHistories(database, 30, SEED),
  );

  it('waits a bounded time behind a transaction of the host’s, and does nothing late', async () => {
    const pglite = await PGlite.create();
    const { transaction } = pgliteDatabase({ pglite, timeoutMs: 200, lockTimeoutMs: 200 });
    const work = vi.fn(async () => undefined);
    await pglite.transaction(async () => {
      await expect(transaction(work)).rejects.toMatchObject({
        code: 'repository_unavailable',
      });
    });
    expect(await transaction(async (sql) => await sql('select 1 as one'))).toEqual([{ one: 1 }]);
    expect(work).not.toHaveBeenCalled();
    await pglite.close();
  });

  it.each(['a\0b', '\ud800'])('refuses text that cannot be stored as it is: %j', async (org) => {
    const repository = repositoryOn(database.open(), database.s, database.clockSql);
    const customer = { org, provider: 'p', customerId: 'c' };
    await expect(repository.linkCustomer(customer)).rejects.toMatchObject({ code: 'invalid_request' });
  });
});
