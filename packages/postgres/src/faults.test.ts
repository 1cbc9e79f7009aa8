import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditEntry, type Subscription, TollgateError } from '@tollgate/core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type PostgresServer, startPostgres, tcpProxy, waitUntil } from '../../../test/support/services.ts';
import type { PgPool } from './database/pg-types.ts';
import { heard } from './heard-pool.test-support.ts';
import { type PostgresRepository, postgresRepository } from './postgres-repository.ts';

const AT = Date.UTC(2026, 3, 9, 12);
const GRACE_MS = 700;

function subscription(id: string): Subscription {
  return {
    provider: 'stripe',
    id,
    org: 'acme',
    customerId: 'cus_1',
    tier: 'pro',
    status: 'active',
    quantity: 1,
    interval: 'month',
    createdAt: AT,
    currentPeriodEndsAt: null,
    trialEndsAt: null,
    cancelsAt: null,
    scheduledTier: null,
    scheduledAt: null,
    pastDueAt: null,
    endedAt: null,
  };
}

function audit(subject: string): AuditEntry {
  return {
    at: AT,
    org: 'acme',
    actor: 'test',
    action: 'subscription.changed',
    subject,
    before: null,
    after: 1,
  };
}

const first = (id: string) => ({ subscription: subscription(id), expectedVersion: null, audit: audit(id) });

/** What the call threw, and after how long. */
async function failure(call: Promise<unknown>): Promise<{ code: string; afterMs: number }> {
  const startedAt = performance.now();
  const error = await call.then(
    (value) => new Error(`It answered ${JSON.stringify(value)}.`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TollgateError)) throw error;
  return { code: error.code, afterMs: performance.now() - startedAt };
}

let server: PostgresServer;
const ends: (() => Promise<unknown>)[] = [];
let schemas = 0;

interface Scene {
  readonly repository: PostgresRepository;
  readonly pool: pg.Pool;
  readonly s: string;
  /** Whatever the server holds of subscriptions, and of audit entries. */
  rows(): Promise<{ subscriptions: number; audits: number }>;
}

let admin: pg.Pool;

async function scene(
  options: { port?: number; max?: number; timeoutMs?: number; lockTimeoutMs?: number } = {},
): Promise<Scene> {
  const { port = server.port, max = 4, timeoutMs = 2_000, lockTimeoutMs = 400 } = options;
  const pool = new pg.Pool({
    host: '127.0.0.1',
    port,
    user: 'tollgate',
    database: 'postgres',
    max,
    connectionTimeoutMillis: 1_000,
  });
  schemas += 1;
  const s = `faults_${schemas}`;
  const repository = postgresRepository({ pool, schema: s, timeoutMs, lockTimeoutMs });
  await repository.migrate();
  ends.push(async () => {
    await repository.close();
    // What a test left hanging must not hang the suite.
    pool.on('error', () => {});
    await Promise.race([pool.end(), sleep(1_000)]);
  });
  const rows = async () => {
    const { rows: found } = await admin.query(
      `select (select count(*)::int from ${s}.subscriptions) as subscriptions,
         (select count(*)::int from ${s}.audit) as audits`,
    );
    return found[0];
  };
  return { repository, pool, s, rows };
}

/** From now on, the first `times` writes of an audit entry run `body` first. Sequences are not rolled back: each try counts. */
async function plant(s: string, times: number, body: string, when?: 'deferred to the commit'): Promise<void> {
  const trigger =
    when === undefined
      ? `create trigger fault before insert on ${s}.audit`
      : `create constraint trigger fault after insert on ${s}.audit deferrable initially deferred`;
  await admin.query(`
    create sequence ${s}.tries;
    create function ${s}.fault() returns trigger language plpgsql as $$
    begin
      if nextval('${s}.tries') <= ${times} then ${body} end if;
      return new;
    end $$;
    ${trigger} for each row execute function ${s}.fault()`);
}

const openAdmin = () => {
  const pool = new pg.Pool({ connectionString: server.url, max: 2 });
  pool.on('error', () => {});
  return pool;
};

beforeAll(async () => {
  server = await startPostgres();
  admin = openAdmin();
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
afterAll(async () => {
  await admin.end();
  await server.stop();
});

async function restart(signal: 'SIGINT' | 'SIGQUIT', meanwhile: () => Promise<void>): Promise<void> {
  const { dir, port } = server;
  await admin.end();
  await server.kill(signal);
  await meanwhile();
  server = await startPostgres({ dir, port });
  admin = openAdmin();
}

describe('a server that is restarted (F21)', () => {
  it.each(['SIGINT', 'SIGQUIT'] as const)(
    'is unavailable in bounded time while it is down by %s, and used again without a restart of ours',
    async (signal) => {
      const { repository, rows } = await scene();
      // Several connections, idle when the server goes: nobody listening would end this process.
      await Promise.all(['a', 'b', 'c'].map((id) => repository.saveSubscription(first(id))));
      await restart(signal, async () => {
        const { code, afterMs } = await failure(repository.saveSubscription(first('d')));
        expect(code).toBe('repository_unavailable');
        expect(afterMs).toBeLessThan(2_000 + GRACE_MS);
      });
      await expect(repository.saveSubscription(first('e'))).resolves.toBe('saved');
      await expect(rows()).resolves.toEqual({ subscriptions: 4, audits: 4 });
    },
  );

  it('loses nothing it acknowledged and keeps nothing half done when it crashes under load (W6)', async () => {
    const { repository, s } = await scene();
    const acknowledged: string[] = [];
    let isDown = false;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let n = 0; !isDown; n += 1) {
        const id = `${writer}_${n}`;
        const saved = await repository.saveSubscription(first(id)).catch(() => null);
        if (saved === 'saved') acknowledged.push(id);
      }
    });
    await waitUntil('some writes are acknowledged', () => acknowledged.length > 100);
    await restart('SIGQUIT', async () => {
      isDown = true;
      await Promise.all(writers);
    });
    const { rows: stored } = await admin.query(
      `select id, (select count(*)::int from ${s}.audit where subject = id) as audits from ${s}.subscriptions`,
    );
    const ids = new Set(stored.map(({ id }) => id));
    expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
    expect(stored.filter(({ audits }) => audits !== 1)).toEqual([]);
  });
});

describe('a transaction that fails midway (F22)', () => {
  it.each(['40001', '40P01', '23505', '55P03'])(
    'with %s is tried again, and then done once',
    async (state) => {
      const { repository, s, rows } = await scene();
      await plant(s, 2, `raise exception 'planted' using errcode = '${state}';`);
      await expect(repository.saveSubscription(first('a'))).resolves.toBe('saved');
      await expect(rows()).resolves.toEqual({ subscriptions: 1, audits: 1 });
    },
  );

  it.each(['40001', '40P01', '23505', '55P03', '42501'])(
    'with %s for ever is unavailable, and nothing of it stays',
    async (state) => {
      const { repository, s, rows } = await scene();
      await plant(s, 1_000, `raise exception 'planted' using errcode = '${state}';`);
      const { code, afterMs } = await failure(repository.saveSubscription(first('a')));
      expect(code).toBe('repository_unavailable');
      expect(afterMs).toBeLessThan(2_000 + GRACE_MS);
      await expect(rows()).resolves.toEqual({ subscriptions: 0, audits: 0 });
    },
  );

  it('between the effect of an event and its end leaves neither, and the event to be done again (W6)', async () => {
    const { repository, s, rows } = await scene();
    const key = { provider: 'sandbox', livemode: false, id: 'evt_1' };
    const about = { type: 't', customerId: 'cus_1', subscriptionId: 'a', createdAt: AT };
    const claim = await repository.claimEvent({ event: { ...key, ...about }, leaseMs: 60_000 });
    if (claim.outcome !== 'claimed') throw new Error(`It is ${claim.outcome}.`);
    const { token } = claim;
    const end = { event: key, token, result: 'applied', maxUnmatched: 10, effect: first('a') } as const;
    await admin.query(`alter table ${s}.inbox add constraint fault check (result is null)`);
    expect((await failure(repository.finishEvent(end))).code).toBe('repository_unavailable');
    await expect(rows()).resolves.toEqual({ subscriptions: 0, audits: 0 });
    await admin.query(`alter table ${s}.inbox drop constraint fault`);
    await expect(repository.finishEvent(end)).resolves.toBe('done');
    await expect(rows()).resolves.toEqual({ subscriptions: 1, audits: 1 });
  });

  it('whose backend is terminated before its commit is tried again on another connection', async () => {
    const { repository, s, rows } = await scene();
    await plant(s, 1, 'perform pg_terminate_backend(pg_backend_pid());');
    await expect(repository.saveSubscription(first('a'))).resolves.toBe('saved');
    await expect(rows()).resolves.toEqual({ subscriptions: 1, audits: 1 });
  });

  it('whose backend is terminated at its commit is not tried again: it may be done (Q3)', async () => {
    const { repository, s, rows } = await scene();
    await plant(s, 1, 'perform pg_terminate_backend(pg_backend_pid());', 'deferred to the commit');
    const { code } = await failure(repository.saveSubscription(first('a')));
    expect(code).toBe('repository_unavailable');
    await expect(rows()).resolves.toEqual({ subscriptions: 0, audits: 0 });
  });

  it('on a row that another transaction keeps locked is unavailable in bounded time, and goes through once it is free', async () => {
    const { repository, s } = await scene({ timeoutMs: 1_500, lockTimeoutMs: 200 });
    await repository.saveSubscription(first('a'));
    const client = await admin.connect();
    await client.query(`begin; select * from ${s}.subscriptions for update`);
    const change = { subscription: subscription('a'), expectedVersion: 1, audit: null };
    const { code, afterMs } = await failure(repository.saveSubscription(change));
    expect(code).toBe('repository_unavailable');
    expect(afterMs).toBeLessThan(1_500 + GRACE_MS);
    const second = repository.saveSubscription(change);
    await sleep(300);
    await client.query('commit');
    client.release();
    await expect(second).resolves.toBe('saved');
  });

  it('that drops the oldest unmatched event leaves one that is done while it waits for it (W2)', async () => {
    const { repository, s } = await scene({ lockTimeoutMs: 2_000 });
    const deliver = async (id: string, maxUnmatched: number) => {
      const key = { provider: 'stripe', livemode: true, id };
      const event = { ...key, type: 't', customerId: 'cus_1', subscriptionId: null, createdAt: AT };
      const claim = await repository.claimEvent({ event, leaseMs: 60_000 });
      if (claim.outcome !== 'claimed') return claim;
      const finished = { event: key, token: claim.token, result: 'unmatched', maxUnmatched } as const;
      return repository.finishEvent({ ...finished, effect: null });
    };
    await deliver('old', 1);
    const client = await admin.connect();
    await client.query(`begin; update ${s}.inbox set result = 'applied'`);
    const next = deliver('young', 1);
    await waitUntil('it waits for the old one', async () => {
      const { rows } = await admin.query(`select 1 from pg_stat_activity where wait_event_type = 'Lock'`);
      return rows.length > 0;
    });
    await client.query('commit');
    client.release();
    await expect(next).resolves.toBe('done');
    await expect(deliver('old', 1)).resolves.toEqual({ outcome: 'done', result: 'applied' });
  });

  it('that waits for a row decides on what the one before it left: one claim alone is given', async () => {
    const { repository, s } = await scene({ lockTimeoutMs: 2_000 });
    const page = { org: 'acme', provider: 'stripe', tier: 'pro', leaseMs: 60_000 };
    await repository.claimCheckout({ ...page, id: 'died' });
    await admin.query(`update ${s}.checkouts set claimed_until = now() - interval '1 second'`);
    await repository.watchOrgs({ orgs: ['acme'] });
    const client = await admin.connect();
    await client.query(
      `begin; select * from ${s}.checkouts for update; select * from ${s}.sweeps for update`,
    );
    const pages = ['a', 'b'].map((id) => repository.claimCheckout({ ...page, id }));
    const sweeps = [1, 2].map(() =>
      repository.claimSweeps({ org: 'acme', dueAt: null, limit: 1, leaseMs: 60_000 }),
    );
    await waitUntil('all four wait', async () => {
      const { rows } = await admin.query(`select 1 from pg_stat_activity where wait_event_type = 'Lock'`);
      return rows.length === 4;
    });
    await client.query('commit');
    client.release();
    const outcomes = (await Promise.all(pages)).map(({ outcome }) => outcome);
    expect(outcomes.sort()).toEqual(['busy', 'claimed']);
    const claims = (await Promise.all(sweeps)).flatMap((sweep) => sweep.claims);
    expect(claims).toHaveLength(1);
  });

  it('of a sweeper waits for no org that another is just claiming, and claims the next one (D3)', async () => {
    const { repository, s } = await scene();
    await repository.watchOrgs({ orgs: ['acme', 'globex'] });
    const client = await admin.connect();
    await client.query(`begin; select * from ${s}.sweeps where org = 'acme' for update`);
    const claiming = repository.claimSweeps({ org: null, dueAt: null, limit: 1, leaseMs: 60_000 });
    try {
      await expect(claiming).resolves.toMatchObject({ claims: [{ org: 'globex' }] });
    } finally {
      await client.query('rollback');
      client.release();
    }
  });

  it('whose reply to the commit is lost is unavailable, never done twice', async () => {
    const proxy = await tcpProxy(server.port);
    ends.push(() => proxy.close());
    const { repository, s, rows } = await scene({ port: proxy.port, timeoutMs: 800 });
    await plant(s, 1_000, 'perform pg_sleep(0.3);', 'deferred to the commit');
    const call = failure(repository.saveSubscription(first('a')));
    await waitUntil('the commit is under way', async () => {
      const { rows: asleep } = await admin.query(
        `select 1 from pg_stat_activity where wait_event = 'PgSleep' and query = 'commit'`,
      );
      return asleep.length > 0;
    });
    // The connection breaks, and a new one could be had at once: to ask again would be easy, and wrong.
    proxy.cut();
    proxy.restore();
    await expect(call).resolves.toMatchObject({ code: 'repository_unavailable' });
    await waitUntil('the server has committed', async () => (await rows()).subscriptions === 1);
    await expect(rows()).resolves.toEqual({ subscriptions: 1, audits: 1 });
  });
});

describe('a pool or a server that does not answer (F23)', () => {
  it('is unavailable in bounded time while the pool is exhausted, and the pool is whole afterwards', async () => {
    const { repository, pool } = await scene({ max: 1, timeoutMs: 300 });
    const held = await pool.connect();
    const calls = [repository.loadOrg('acme'), repository.loadOrg('acme'), repository.loadOrg('acme')];
    for (const { code, afterMs } of await Promise.all(calls.map(failure))) {
      expect(code).toBe('repository_unavailable');
      expect(afterMs).toBeLessThan(300 + GRACE_MS);
    }
    held.release();
    await waitUntil('late connections are given back', () => pool.waitingCount === 0 && pool.idleCount === 1);
    await expect(repository.loadOrg('acme')).resolves.toMatchObject({ subscriptions: [] });
  });

  it('gives up a statement that runs too long, and the pool is whole afterwards', async () => {
    const { repository, pool, s, rows } = await scene({ max: 2, timeoutMs: 400 });
    await plant(s, 1, 'perform pg_sleep(30);');
    const { code, afterMs } = await failure(repository.saveSubscription(first('a')));
    expect(code).toBe('repository_unavailable');
    expect(afterMs).toBeLessThan(400 + GRACE_MS);
    await waitUntil('connections are idle', () => pool.idleCount === pool.totalCount);
    await expect(repository.saveSubscription(first('a'))).resolves.toBe('saved');
    await expect(rows()).resolves.toEqual({ subscriptions: 1, audits: 1 });
  });

  it('forgets what is over in parts, the oldest first, and waits for no row that another holds: a backlog of any size drains (D6)', async () => {
    const { repository, s } = await scene();
    await admin.query(
      `insert into ${s}.usage select 'org-' || i, 'opens', 'day', 1, to_timestamp(i) from generate_series(10010, 1, -1) i;
       insert into ${s}.inbox select 'stripe', true, 'evt-' || i, 't', 'cus', 'sub', now(), 'applied', null, to_timestamp(i), now()
       from generate_series(10010, 1, -1) i`,
    );
    const holding = await admin.connect();
    ends.push(async () => holding.release(true));
    for (const [table, at, purge] of [
      ['usage', 'ends_at', repository.purgeUsage],
      ['inbox', 'claimed_at', repository.purgeEvents],
    ] as const) {
      await holding.query(`begin; select * from ${s}.${table} where ${at} = to_timestamp(1) for update`);
      await expect(purge({ before: AT })).resolves.toBe(10_000);
      const { rows } = await admin.query(`select ${at} as at from ${s}.${table} order by ${at} limit 2`);
      expect(rows).toEqual([{ at: new Date(1_000) }, { at: new Date(10_002_000) }]);
      await holding.query('rollback');
      await expect(purge({ before: AT })).resolves.toBe(10);
    }
  });

  it('does not notice idle connections that the server dropped', async () => {
    const { repository, pool } = await scene();
    await Promise.all([repository.loadOrg('a'), repository.loadOrg('b'), repository.loadOrg('c')]);
    const before = pool.totalCount;
    expect(before).toBeGreaterThan(1);
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and usename = 'tollgate'`,
    );
    const answers = await Promise.all([
      repository.loadOrg('a'),
      repository.loadOrg('b'),
      repository.loadOrg('c'),
    ]);
    expect(answers).toHaveLength(3);
  });

  it('does not notice a connection that the server ended as idle while this process was stopped', async () => {
    const { repository, pool } = await scene({ max: 1 });
    await pool.query(`set idle_session_timeout = 50`);
    // Nothing is read meanwhile: the pool hands it out as if it were well.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    await expect(repository.saveSubscription(first('a'))).resolves.toBe('saved');
  });

  it('tries on another connection what met one whose socket broke before its commit', async () => {
    const { pool, s } = await scene({ max: 1 });
    let broken = 0;
    const breaking = heard(pool, () => {
      broken += 1;
      if (broken === 2) throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' });
    });
    const repository = postgresRepository({ pool: breaking, schema: s });
    const connections = vi.fn();
    pool.on('connect', connections);
    await expect(repository.saveSubscription(first('a'))).resolves.toBe('saved');
    expect(connections).toHaveBeenCalledTimes(1);
    await repository.close();
  });

  it('uses no connection again whose server was demoted to a standby', async () => {
    const { repository, pool } = await scene({ max: 1 });
    await pool.query('set default_transaction_read_only = on');
    const { code } = await failure(repository.saveSubscription(first('a')));
    expect(code).toBe('repository_unavailable');
    await expect(repository.saveSubscription(first('a'))).resolves.toBe('saved');
  });

  it('answers all that is only read while the database takes no writes, and takes them again by itself', async () => {
    const { repository, pool } = await scene({ max: 1 });
    const change = { org: 'acme', policy: 'manual', audit: audit('acme') } as const;
    await repository.setSelectionPolicy(change);
    const readOnly = (how: string) => admin.query(`begin read write; alter database postgres ${how}; commit`);
    await readOnly('set default_transaction_read_only = on');
    onTestFinished(async () => void (await readOnly('reset default_transaction_read_only')));
    await pool.query('set default_transaction_read_only = on');
    const page = { after: null, limit: 10 };
    const stripe = { provider: 'stripe', id: 'a', customerId: 'cus_1' };
    await repository.loadOrg('acme');
    await expect(repository.loadDegradation('acme')).resolves.toMatchObject({ policy: 'manual', version: 1 });
    await repository.loadRowActions('acme');
    await repository.loadUsage({ org: 'acme', windows: [{ key: 'opens', window: 'day' }] });
    await repository.listOverrides({ liveAt: AT });
    await repository.listAudit({ org: 'acme', before: null, limit: 10 });
    await repository.listCustomers(page);
    await repository.listSubscriptions(page);
    await repository.listUnmatched(stripe);
    await repository.findCustomer(stripe);
    await repository.findSubscription(stripe);
    await expect(repository.migrate()).resolves.toMatchObject({});
    await expect(failure(repository.setSelectionPolicy(change))).resolves.toMatchObject({
      code: 'repository_unavailable',
    });
    await readOnly('reset default_transaction_read_only');
    await expect(repository.setSelectionPolicy(change)).resolves.toBeUndefined();
  });

  it('keeps its connection where a call has less time left than an answer is on its way', async () => {
    const { pool, s } = await scene();
    const slow: PgPool = {
      async connect() {
        const client = await heard(pool, () => {}).connect();
        const query: typeof client.query = async (config) => {
          const answer = await client.query(config);
          await sleep(40);
          return answer;
        };
        return { ...client, query };
      },
      on: pool.on.bind(pool) as PgPool['on'],
      removeListener: pool.removeListener.bind(pool) as PgPool['removeListener'],
    };
    const isClosed = vi.fn();
    pool.on('remove', isClosed);
    const hurried = postgresRepository({ pool: slow, schema: s, timeoutMs: 20 });
    await expect(hurried.findSubscription({ provider: 'stripe', id: 'a' })).resolves.toBeNull();
    expect(isClosed).not.toHaveBeenCalled();
  });

  it('outlives a connection that the server ends as soon as it is ready', async () => {
    const fields = ['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection due to administrator command', ''];
    const text = Buffer.from(fields.map((field) => `${field}\0`).join(''));
    const fatal = Buffer.alloc(5 + text.length);
    fatal.write('E');
    fatal.writeInt32BE(4 + text.length, 1);
    text.copy(fatal, 5);
    const isReady = (chunk: Buffer) => chunk.subarray(-6, -1).equals(Buffer.from([0x5a, 0, 0, 0, 5]));
    let ended = 0;
    const proxy = createServer((client) => {
      const target = connect(server.port, '127.0.0.1');
      client.pipe(target);
      target.on('data', (chunk: Buffer) => {
        const isLast = ended === 0 && isReady(chunk);
        if (isLast) ended += 1;
        client.write(isLast ? Buffer.concat([chunk, fatal]) : chunk);
      });
      for (const [one, other] of [
        [client, target],
        [target, client],
      ] as const)
        one.on('error', () => {}).on('close', () => other.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    ends.push(async () => proxy.close());
    const { port } = proxy.address() as AddressInfo;
    // The scene's own first call meets it.
    const { repository } = await scene({ port });
    expect(ended).toBe(1);
    await expect(repository.loadOrg('acme')).resolves.toMatchObject({ subscriptions: [] });
  });

  it('is unavailable in bounded time behind a network that swallows everything, and recovers by itself', async () => {
    const proxy = await tcpProxy(server.port);
    ends.push(() => proxy.close());
    const { repository, pool } = await scene({ port: proxy.port, timeoutMs: 400 });
    await repository.loadOrg('acme');
    proxy.delay(Number.POSITIVE_INFINITY);
    for (const { code, afterMs } of await Promise.all(
      [1, 2, 3, 4, 5, 6].map(() => failure(repository.loadOrg('acme'))),
    )) {
      expect(code).toBe('repository_unavailable');
      expect(afterMs).toBeLessThan(400 + GRACE_MS);
    }
    // Nothing that hangs is kept for the next caller.
    await waitUntil('the hung connections are gone', () => pool.totalCount === 0);
    proxy.restore();
    proxy.cut();
    proxy.restore();
    await waitUntil('it answers again', () => repository.loadOrg('acme').then(() => true));
    expect(pool.totalCount).toBeLessThanOrEqual(4);
  });
});
