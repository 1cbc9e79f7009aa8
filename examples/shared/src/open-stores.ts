import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BillingRepository, CounterStore } from '@tollgate/core';
import type { Environment } from './environment.ts';
import type { HostRows } from './rows/host-rows.ts';
import { memoryRows } from './rows/memory-rows.ts';
import { sqlRows } from './rows/sql-rows.ts';

/** Where everything is kept. A store left out is the library's own, in memory. */
export interface Stores {
  readonly counters?: CounterStore;
  readonly repository?: BillingRepository;
  readonly rows: HostRows;
  /** One line each, for people. */
  readonly description: readonly string[];
  /** Lets go of the connections, after the engine let go of its stores. */
  close(): Promise<void>;
}

/**
 * Opens what the environment names. Counters are in Redis, else in Postgres, else in memory; billing state is in Postgres, in a
 * folder, else in memory; the example's own rows lie with the billing state, else in Redis, else in memory.
 */
export async function openStores(environment: Environment): Promise<Stores> {
  const { redisUrl, databaseUrl, dataDir } = environment;
  const closers: (() => Promise<unknown>)[] = [];
  let counters: CounterStore | undefined;
  let repository: BillingRepository | undefined;
  let rows: HostRows | undefined;
  let counted = 'memory (set REDIS_URL)';
  let billed = 'memory (set DATABASE_URL or DATA_DIR)';

  if (redisUrl !== null) throw new Error('REDIS_URL is set, but this example cannot count in Redis yet.');
  if (databaseUrl !== null) {
    const { Pool } = await import('pg');
    const { postgresCounterStore, postgresRepository } = await import('@tollgate/postgres');
    const pool = new Pool({ connectionString: databaseUrl });
    // An idle connection that breaks is replaced; without a listener it would end the process.
    pool.on('error', () => undefined);
    closers.push(() => pool.end());
    const durable = postgresRepository({ pool });
    await durable.migrate();
    repository = durable;
    rows = await sqlRows(pool, 'Postgres');
    billed = 'Postgres';
    if (redisUrl === null) {
      counters = postgresCounterStore({ pool });
      counted = 'Postgres';
    }
  } else if (dataDir !== null) {
    const { PGlite } = await import('@electric-sql/pglite');
    const { postgresRepository } = await import('@tollgate/postgres');
    await mkdir(dataDir, { recursive: true });
    const pglite = await PGlite.create(join(dataDir, 'pglite'));
    closers.push(() => pglite.close());
    const durable = postgresRepository({ pglite });
    await durable.migrate();
    repository = durable;
    rows = await sqlRows(pglite, `PGlite in ${dataDir}`);
    billed = `PGlite in ${dataDir}`;
  }

  return {
    ...(counters === undefined ? {} : { counters }),
    ...(repository === undefined ? {} : { repository }),
    rows: rows ?? memoryRows(),
    description: [
      `counters ${counted}`,
      `billing  ${billed}`,
      `rows     ${(rows ?? memoryRows()).description}`,
    ],
    async close() {
      for (const close of closers.reverse()) await close();
    },
  };
}
