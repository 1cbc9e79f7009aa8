import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BillingRepository, CounterStore } from '@tollgate/core';
import type { Environment } from './environment.ts';
import { lockFolder } from './lock-folder.ts';
import { opened } from './opened.ts';
import type { HostRows } from './rows/host-rows.ts';
import { memoryRows } from './rows/memory-rows.ts';
import { redisRows } from './rows/redis-rows.ts';
import { sqlRows } from './rows/sql-rows.ts';

/** Where data is kept. A store that is absent is the library's own, in memory. */
export interface Stores {
  readonly counters?: CounterStore;
  readonly repository?: BillingRepository;
  readonly rows: HostRows;
  /** Lines for people to read. */
  readonly description: readonly string[];
  /** Closes the connections. Call it after the engine has closed its stores. */
  close(): Promise<void>;
}

/**
 * Opens the stores that the environment names. Counters are in Redis, else in Postgres, else in memory; billing state is in Postgres,
 * else in a folder, else in memory; the example's own rows are beside the billing state, else in Redis, else in memory.
 */
export async function openStores(environment: Environment): Promise<Stores> {
  const { redisUrl, databaseUrl, dataDir } = environment;
  const durable =
    databaseUrl !== null
      ? await opened('DATABASE_URL', openPostgres(databaseUrl, redisUrl === null))
      : dataDir !== null
        ? await opened('DATA_DIR', openFolder(dataDir))
        : null;
  const fast = redisUrl === null ? null : await openRedis(redisUrl, durable === null);

  const counters = fast?.counters ?? durable?.counters ?? null;
  const rows = durable?.rows ?? fast?.rows ?? memoryRows();
  const counted = fast !== null ? 'Redis' : counters !== null ? 'Postgres' : 'memory (set REDIS_URL)';
  const billed = durable?.rows.description ?? 'memory, of this process (set DATABASE_URL or DATA_DIR)';
  return {
    ...(counters === null ? {} : { counters }),
    ...(durable === null ? {} : { repository: durable.repository }),
    rows,
    description: [`counters ${counted}`, `billing  ${billed}`, `rows     ${rows.description}`],
    async close() {
      await rows.close();
      await fast?.close();
      await durable?.close();
    },
  };
}

async function openPostgres(connectionString: string, countsToo: boolean) {
  const { Pool } = await import('pg');
  const { postgresCounterStore, postgresRepository } = await import('@tollgate/postgres');
  const pool = new Pool({ connectionString, connectionTimeoutMillis: 5_000 });
  // The pool replaces an idle connection that breaks; without a listener the error would end the process.
  pool.on('error', () => undefined);
  const repository = postgresRepository({ pool });
  await repository.migrate();
  const rows = await sqlRows(pool, 'Postgres');
  const counters = countsToo ? postgresCounterStore({ pool }) : null;
  return { repository, rows, counters, close: () => pool.end() };
}

async function openFolder(dataDir: string) {
  const { PGlite } = await import('@electric-sql/pglite');
  const { postgresRepository } = await import('@tollgate/postgres');
  await mkdir(dataDir, { recursive: true });
  const unlock = lockFolder(dataDir);
  const pglite = await PGlite.create(join(dataDir, 'pglite'));
  const repository = postgresRepository({ pglite });
  await repository.migrate();
  const rows = await sqlRows(pglite, `PGlite in ${dataDir}`);
  const close = async () => {
    await pglite.close();
    unlock();
  };
  return { repository, rows, counters: null, close };
}

async function openRedis(url: string, keepsRows: boolean) {
  const { redisCounterStore } = await import('@tollgate/redis');
  const counters = redisCounterStore({ url });
  if (!keepsRows) return { counters, close: async () => undefined };
  const { Redis } = await import('ioredis');
  const client = new Redis(url, { commandTimeout: 2_000, maxRetriesPerRequest: 0 });
  // The client reconnects by itself; without a listener every failed attempt would be printed.
  client.on('error', () => undefined);
  return { counters, rows: redisRows(client), close: async () => client.disconnect() };
}
