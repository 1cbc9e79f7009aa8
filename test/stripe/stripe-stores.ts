import { type BillingRepository, memoryBillingRepository } from '@tollgate/core';
import { postgresRepository } from '@tollgate/postgres';
import { Pool } from 'pg';
import { inject } from 'vitest';

/** Billing state that several engines share. */
export interface SharedStore {
  /** A handle of one engine. Closing it leaves the data. */
  handle(): Promise<BillingRepository>;
  /** What another process needs to open it; null where there is no other process. */
  readonly address: { readonly connectionString: string; readonly schema: string } | null;
  /** Lets the claims of processes that died run out, as time would. */
  expireClaims(): Promise<void>;
  drop(): Promise<void>;
}

let schemas = 0;

/** Every store the webhooks are tried on. */
export const STORES: Readonly<Record<string, () => Promise<SharedStore>>> = {
  memory: async () => {
    let aheadMs = 0;
    const repository = memoryBillingRepository({ clock: { now: () => Date.now() + aheadMs } });
    return {
      address: null,
      handle: async () => ({ ...repository, close: async () => {} }),
      expireClaims: async () => {
        aheadMs += 61_000;
      },
      drop: () => repository.close(),
    };
  },
  postgres: async () => {
    schemas += 1;
    const schema = `stripe_${process.pid}_${Date.now().toString(36)}_${schemas}`;
    const desk = new Pool({ connectionString: inject('databaseUrl'), max: 1 });
    const pools: Pool[] = [];
    const handle = async () => {
      const pool = new Pool({ connectionString: inject('databaseUrl'), max: 4 });
      pools.push(pool);
      return postgresRepository({ pool, schema });
    };
    await (await handle()).migrate();
    return {
      handle,
      address: { connectionString: inject('databaseUrl'), schema },
      expireClaims: async () => {
        await desk.query(
          `update ${schema}.inbox set claimed_until = now() - interval '1 second' where result is null`,
        );
      },
      drop: async () => {
        // A webhook whose server was closed may still be at work: dropping what it writes to would be a deadlock.
        for (const pool of pools) await pool.end();
        await desk.query(`drop schema ${schema} cascade`);
        await desk.end();
      },
    };
  },
};
