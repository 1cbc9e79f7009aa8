import {
  type CounterLedger,
  type CounterStore,
  checkAdjust,
  checkCounts,
  checkRenew,
  checkReserve,
  checkSettle,
  type Reservation,
  type SettleRequest,
  TollgateError,
} from '@tollgate/core';
import { commitWithin } from './counters/commit-within.ts';
import { createLateSettles, type SettleProgress } from './counters/late-settles.ts';
import type { Asked } from './counters/org-rows.ts';
import { type CounterTables, peek, step } from './counters/org-step.ts';
import { createOrgTurns } from './counters/org-turns.ts';
import { renewFreeLeases } from './counters/renew-leases.ts';
import { tidyOrgs } from './counters/tidy-orgs.ts';
import type { Database } from './database/database.ts';
import { DATABASE_CLOCK } from './database/database-clock.ts';
import type { PgClient, PgPool } from './database/pg-types.ts';
import { type MigrateOptions, type MigrateResult, migrate } from './migrations/migrate.ts';
import { openDatabase, type PostgresOptions } from './open-database.ts';
import { checkSchemaName } from './schema-name.ts';

export interface PostgresCounterStoreOptions extends PostgresOptions {
  /** The host's pool of `pg`; it is left open. */
  readonly pool: PgPool;
  /**
   * How long a lease that ran out is kept for a late commit, ms. After that its uncertain units stay until a recount.
   * @default 600_000
   */
  readonly lapsedKeepMs?: number;
}

/** A {@link CounterStore} in the host's own database: a reservation can be committed by the transaction that writes the row. */
export interface PostgresCounterStore extends CounterStore {
  /**
   * Commits a reservation inside the host's own open transaction (strict mode): the units are counted if and only if that
   * transaction commits. Call it last before `commit`: the org's counters wait for the transaction from here on. Settling the
   * reservation again afterwards changes nothing.
   *
   * @param client - the `pg` client on which the host said `begin`
   * @throws TollgateError `reservation_lapsed` when the units are not held any more, settled ones included: roll back, nothing may be created for them;
   * `quota_unavailable` when the database cannot do it; `invalid_configuration` without an open transaction.
   */
  commitWithin(
    client: PgClient,
    reservation: Reservation & { readonly amounts?: readonly number[] },
  ): Promise<void>;
  /** As of `postgresRepository`: one schema serves both. */
  migrate(options?: MigrateOptions): Promise<MigrateResult>;
}

/** How often a process looks for orgs with something to forget, ms. */
const TIDY_EVERY_MS = 10_000;

/** The counter store on an opened database. `tables.now` is replaced by tests only. */
export function counterStoreOn(
  database: Database,
  tables: CounterTables,
  timeoutMs = 5_000,
): PostgresCounterStore {
  const inTurn = createOrgTurns(database, timeoutMs);
  let isClosed = false;
  /** On the database's clock. */
  let tidiedAt = 0;
  let tidying: Promise<unknown> = Promise.resolve();
  const underWay = new Set<Promise<unknown>>();

  /** Runs a call, unless the store is closed. A failure of the database becomes `quota_unavailable`. */
  async function counting<T>(run: () => Promise<T>): Promise<T> {
    if (isClosed) throw new TollgateError('quota_unavailable', { message: 'The counter store is closed.' });
    const running = run();
    underWay.add(running);
    try {
      return await running;
    } catch (error) {
      if (!(error instanceof TollgateError) || error.code !== 'repository_unavailable') throw error;
      throw new TollgateError('quota_unavailable', { cause: error.cause, retryAfterSeconds: 1 });
    } finally {
      underWay.delete(running);
    }
  }

  /** @param committing - told, with the result, that the commit comes next: from then on it may be done, whatever fails */
  const stepping = <T>(
    org: string,
    asked: Asked,
    take: (ledger: CounterLedger, now: number) => T,
    committing?: (result: T) => void,
  ) =>
    counting(async () => {
      const [result, now] = await inTurn(org, (held, leftMs) =>
        held.transaction(
          async (sql) => {
            const decide = (ledger: CounterLedger, instant: number) =>
              [take(ledger, instant), instant] as const;
            const taken = await step(sql, tables, org, asked, decide);
            committing?.(taken[0]);
            return taken;
          },
          { timeoutMs: leftMs },
        ),
      );
      if (Math.abs(now - tidiedAt) >= TIDY_EVERY_MS) {
        tidiedAt = now;
        // The step is done, and its caller does not wait for this. Whatever fails here is done by the next run.
        tidying = tidyOrgs(database, tables).catch(() => {});
      }
      return result;
    });

  const settle = (request: SettleRequest, progress: SettleProgress) =>
    stepping(
      request.org,
      { counters: [], reservation: request.id },
      (ledger, now) => ledger.settle(request, now),
      ({ outcome }) => {
        progress.mayBeDone ||= outcome === 'settled';
      },
    );
  const lateSettles = createLateSettles(settle, tables.lapsedKeepMs);

  const store: PostgresCounterStore = {
    async reserve(request) {
      checkReserve(request);
      let isTaken = false;
      try {
        const asked = { counters: request.charges, reservation: request.id };
        const reserve = (ledger: CounterLedger, now: number) => ledger.reserve(request, now);
        return await stepping(request.org, asked, reserve, ({ outcome }) => {
          isTaken = outcome === 'reserved';
        });
      } catch (error) {
        // The reserve may have been committed all the same, and nobody will use it. With a remembered id it may be asked for again.
        if (isTaken && request.rememberMs === 0 && !isClosed)
          lateSettles.add({ ...request, as: 'release' }, error, { mayBeDone: false });
        throw error;
      }
    },
    async settle(request) {
      checkSettle(request);
      const progress = { mayBeDone: false };
      try {
        return await settle(request, progress);
      } catch (error) {
        if (!isClosed) lateSettles.add(request, error, progress);
        throw error;
      }
    },
    async renew(request) {
      checkRenew(request);
      const { leases, leaseMs } = request;
      const renewed = await counting(() =>
        database.transaction((sql) => renewFreeLeases(sql, tables, leases, leaseMs)),
      );
      const held = leases.map(renewed.isHeld);
      const endsAt = performance.now() + leaseMs;
      let failure: unknown;
      for (const org of new Set(leases.map((lease) => lease.org))) {
        if (renewed.orgs.has(org)) continue;
        // A locked org must not hold up the others. After a whole lease there is nothing left to renew.
        if (failure !== undefined && performance.now() >= endsAt) break;
        try {
          await stepping(org, { counters: [] }, (ledger, now) => {
            for (const [index, lease] of leases.entries()) {
              if (lease.org === org) held[index] = ledger.renew(lease.id, leaseMs, now);
            }
          });
        } catch (error) {
          failure = error;
        }
      }
      if (failure !== undefined) throw failure;
      return held;
    },
    async adjust(request) {
      checkAdjust(request);
      const { org, id, adjustments: counters } = request;
      const asked = id === undefined ? { counters } : { counters, adjustment: id };
      return stepping(org, asked, (ledger, now) => ledger.adjust(request, now));
    },
    async read({ org, counters }) {
      return counting(() =>
        database.transaction((sql) =>
          peek(sql, tables, org, { counters }, (ledger, now) => ledger.read(counters, now)),
        ),
      );
    },
    async beginRecount({ org, counters }) {
      return stepping(org, { counters }, (ledger, now) => ledger.beginRecount(counters, now));
    },
    async finishRecount(request) {
      checkCounts(request);
      const { org, counts } = request;
      return stepping(org, { counters: counts }, (ledger, now) => ledger.finishRecount(counts, now));
    },
    async commitWithin(client, reservation) {
      checkSettle({ ...reservation, as: 'commit' });
      return counting(() => commitWithin(client, tables, timeoutMs, reservation));
    },
    transactions: {
      commitWithin: ({ transaction, ...reservation }) =>
        store.commitWithin(transaction as PgClient, reservation),
    },
    migrate: (options) => migrate(database, tables.s, options),
    async close() {
      await lateSettles.close(timeoutMs);
      isClosed = true;
      // Some calls may still wait for their turn. Each ends within its time-out.
      await Promise.allSettled(underWay);
      await tidying;
      await database.close();
    },
  };
  return store;
}

/**
 * Counts in PostgreSQL, for hosts whose rows live in the same database and who want strict mode, or who run no Redis. Each reserve
 * and settle is a short transaction under a lock of its org; call `migrate()` once before use.
 * @throws TollgateError `invalid_configuration`
 */
export function postgresCounterStore(options: PostgresCounterStoreOptions): PostgresCounterStore {
  const { schema = 'tollgate', lapsedKeepMs = 600_000, timeoutMs } = options ?? {};
  const tables = { s: checkSchemaName(schema), now: DATABASE_CLOCK, lapsedKeepMs };
  return counterStoreOn(openDatabase(options), tables, timeoutMs);
}
