import type { PGlite } from '@electric-sql/pglite';
import { billingRepositoryContract } from '@tollgate/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { type TcpProxy, tcpProxy } from '../../../test/support/services.ts';
import { postgresCounterStore } from './postgres-counter-store.ts';
import { postgresRepository, repositoryOn } from './postgres-repository.ts';
import { repositoryHostOn } from './repository-host.test-support.ts';
import { postgresForTesting } from './testing-database.test-support.ts';

vi.setConfig({ testTimeout: 60_000 });
let proxy: TcpProxy;
const make = () => postgresForTesting(inject('databaseUrl'), proxy.port);
const host = repositoryHostOn('Postgres', make, {
  break: () => proxy.cut(),
  mend: () => proxy.restore(),
  answersWithinMs: 3_000,
});

beforeAll(async () => {
  proxy = await tcpProxy(Number(new URL(inject('databaseUrl')).port));
});
afterAll(async () => {
  await host.drop();
  await proxy.close();
});

billingRepositoryContract(host);

describe('postgresRepository', () => {
  const pool = new pg.Pool();

  it.each(['public', 'pg_catalog', 'Tollgate', 'a"b', 'a; drop table x', '', 'x'.repeat(64)])(
    'does not take %j for a schema of its own',
    (schema) => {
      expect(() => postgresRepository({ pool, schema })).toThrow(
        expect.objectContaining({ code: 'invalid_configuration' }),
      );
    },
  );

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'does not take %d for a time-out',
    (timeoutMs) => {
      expect(() => postgresRepository({ pool, timeoutMs })).toThrow(
        expect.objectContaining({ code: 'invalid_configuration' }),
      );
    },
  );

  it('says what to give when it is given neither a pool nor a PGlite', () => {
    expect(() => postgresRepository({} as never)).toThrow(/`pool` or a `pglite`/);
  });

  it('takes the pool of pg and a PGlite by their own types', () => {
    const taken: Parameters<typeof postgresRepository>[0][] = [
      { pool },
      { pglite: null as unknown as PGlite },
    ];
    expect(taken).toHaveLength(2);
  });

  it('does not take a pool of pg.native, of which limits and counts would be read as text', async () => {
    const native = new pg.Pool({ connectionString: inject('databaseUrl'), max: 1 });
    // What tells its clients from others.
    native.on('connect', (client) => void Object.assign(client, { native: {} }));
    try {
      const repository = postgresRepository({ pool: native });
      const refused = { code: 'invalid_configuration', message: expect.stringContaining('pg-native') };
      await expect(repository.migrate()).rejects.toMatchObject(refused);
      const client = await native.connect();
      const charges = [
        { key: 'devices', window: 'lifetime', amount: 1, limit: 1, onUnknown: 'uncertain', forgetAt: null },
      ] as const;
      const reservation = { org: 'acme', id: 'r', charges, rememberMs: 0 };
      const counters = postgresCounterStore({ pool: native });
      await expect(counters.commitWithin(client, reservation)).rejects.toMatchObject(refused);
      client.release();
    } finally {
      await native.end();
    }
  });

  it('purges any number of old rows in steps that end in time, beside another who does', async () => {
    const database = await postgresForTesting(inject('databaseUrl'));
    try {
      const { s } = database;
      await database.raw(`insert into ${s}.usage (org, key, window_label, used, ends_at)
        select 'org-' || n, 'opens', 'w', 1, '2026-01-01' from generate_series(1, 25000) as n`);
      await database.raw(`insert into ${s}.inbox (provider, livemode, id, type, created_at, result, claimed_at, claimed_until)
        select 'p', true, 'evt-' || n, 't', '2026-01-01', 'applied', '2026-01-01', '2026-01-01' from generate_series(1, 25000) as n`);
      const repository = repositoryOn(database.open(), s, database.clockSql);
      for (const purge of [repository.purgeUsage, repository.purgeEvents]) {
        const both = () => Promise.all([1, 2].map(() => purge({ before: Date.UTC(2026, 0, 2) })));
        expect(await both()).toEqual([10_000, 10_000]);
        const [one = 0, other = 0] = await both();
        expect(one + other).toBe(5_000);
        expect(await both()).toEqual([0, 0]);
      }
    } finally {
      await database.drop();
    }
  });

  it('leaves the pool of the host open and free of its listeners when it is closed', async () => {
    const own = new pg.Pool({ connectionString: inject('databaseUrl') });
    const before = own.listenerCount('error');
    const repositories = [postgresRepository({ pool: own }), postgresRepository({ pool: own })];
    expect(own.listenerCount('error')).toBe(before + 1);
    for (const repository of [repositories[0], repositories[0]]) await repository?.close();
    expect(own.listenerCount('error'), 'while another is open').toBe(before + 1);
    await repositories[1]?.close();
    expect(own.listenerCount('error')).toBe(before);
    await expect(own.query('select 1')).resolves.toMatchObject({ rowCount: 1 });
    await own.end();
  });
});
