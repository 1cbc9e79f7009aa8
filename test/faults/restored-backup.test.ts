import { type BillingOptions, capacity, metered } from '@tollgate/core';
import { postgresCounterStore, postgresRepository } from '@tollgate/postgres';
import { redisCounterStore } from '@tollgate/redis';
import { stripeStandIn } from '@tollgate/testing';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest';
import { fencedBlocks } from '../readme/fenced-blocks.ts';
import { stripeHost } from '../stripe/stripe-hosts.ts';
import { backUp, type PostgresServer, startPostgres, waitUntil } from '../support/services.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

interface Device {
  readonly org: string;
  readonly id: string;
  readonly createdAt: number;
  isSuspended: boolean;
}

/** The host's devices: in the database that is restored, or elsewhere. */
function devicesIn(pool: pg.Pool | null) {
  const elsewhere = new Map<string, Device>();
  const all = async (): Promise<readonly Device[]> =>
    pool === null
      ? [...elsewhere.values()]
      : (
          await pool.query<Device>(
            'select org, id, created_at::float8 as "createdAt", is_suspended as "isSuspended" from devices order by created_at',
          )
        ).rows;
  const of = async (org: string) => (await all()).filter((device) => device.org === org);
  let made = 0;
  return {
    of,
    async add(org: string, devices: number) {
      for (let n = 0; n < devices; n += 1) {
        made += 1;
        const device: Device = { org, id: `d${made}`, createdAt: made, isSuspended: false };
        if (pool === null) elsewhere.set(device.id, device);
        else await pool.query('insert into devices values ($1, $2, $3)', [org, device.id, made]);
      }
    },
    async drop(id: string) {
      if (pool === null) elsewhere.delete(id);
      else await pool.query('delete from devices where id = $1', [id]);
    },
    async setSuspended(id: string, isSuspended: boolean) {
      const device = elsewhere.get(id);
      if (device !== undefined) device.isSuspended = isSuspended;
      await pool?.query('update devices set is_suspended = $2 where id = $1', [id, isSuspended]);
    },
    inventory: {
      count: async ({ org }) => (await of(org)).length,
      async *list({ org }) {
        for (const { id, createdAt } of await of(org)) yield { id, createdAt, lastUsedAt: null };
      },
      find: async ({ org, id }) => {
        const device = (await of(org)).find((one) => one.id === id);
        return device === undefined ? null : { ...device, lastUsedAt: null };
      },
    } satisfies BillingOptions['inventory'],
  };
}

interface Placed {
  /** @default 'redis', which is not restored */
  readonly counters?: 'redis' | 'postgres';
  /** @default 'database' */
  readonly devices?: 'database' | 'elsewhere';
}

let databases = 0;

/** One process of a host that sells through a stand-in, and goes on running while its database is restored. */
async function hostWithBackup({ counters = 'redis', devices: where = 'database' }: Placed = {}) {
  databases += 1;
  const name = `restored_${databases}`;
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  const url = new URL(`/${name}`, server.url).href;
  const pool = new pg.Pool({ connectionString: url, max: 4, connectionTimeoutMillis: 1_000 });
  onTestFinished(() => pool.end());
  // A restore ends every connection, also one that is idle when no repository listens.
  pool.on('error', () => {});
  await pool.query(
    'create table devices (org text, id text, created_at bigint, is_suspended boolean default false)',
  );
  const repository = postgresRepository({ pool });
  await repository.migrate();

  let webhookUrl: string | null = null;
  const stripe = await stripeStandIn({ webhookUrl: () => webhookUrl });
  onTestFinished(() => stripe.close());
  const devices = devicesIn(where === 'database' ? pool : null);
  const calls: string[] = [];
  const host = await stripeHost({
    standIn: stripe,
    prices: { pro: stripe.addPrice({ amount: 1_000 }), business: stripe.addPrice({ amount: 5_000 }) },
    repository,
    options: {
      quotas: { devices: capacity(), opens: metered({ periods: ['day'] }) },
      tiers: [
        {
          slug: 'free',
          name: 'Free',
          isDefaultForPersonal: true,
          sortOrder: 1,
          limits: { devices: 3, opens: 9 },
        },
        { slug: 'pro', name: 'Pro', sortOrder: 2, limits: { devices: 6, opens: 99 } },
        {
          slug: 'business',
          name: 'Business',
          sortOrder: 3,
          limits: { devices: 'unlimited', opens: 'unlimited' },
        },
      ],
      inventory: devices.inventory,
      counters:
        counters === 'postgres'
          ? postgresCounterStore({ pool })
          : redisCounterStore({ url: inject('redisUrl'), prefix: `restored-${process.pid}-${databases}` }),
      limitsTtlMs: 100,
      snapshotEveryMs: 20,
      overCapacity: { warnedMs: 0, degradedMs: 3_600_000 },
      lifecycle: {
        sightingMs: 1,
        suspend: async ({ id }) => {
          calls.push(`suspend ${id}`);
          await devices.setSuspended(id, true);
        },
        restore: async ({ id }) => {
          calls.push(`restore ${id}`);
          await devices.setSuspended(id, false);
        },
      },
    },
  });
  onTestFinished(() => host.close());
  webhookUrl = host.webhookUrl;
  const { billing } = host;
  const notices: string[] = [];
  for (const notice of ['subscription.changed', 'invoice.paid'] as const)
    billing.on(notice, ({ org }) => void notices.push(`${notice} ${org}`));

  const used = async (org: string, key: string) =>
    (await billing.usage({ org })).items.find((item) => item.key === key)?.current;
  const tierOf = async (org: string) => (await billing.plan(org)).tier;
  const suspendedOf = async (org: string) =>
    (await devices.of(org)).filter(({ isSuspended }) => isSuspended).map(({ id }) => id);
  const checkout = (org: string, tier: string) => billing.checkout({ org, tier, actor: 'admin' });
  return {
    billing,
    repository,
    pool,
    stripe,
    devices,
    calls,
    notices,
    used,
    checkout,
    tiersOf: async (...orgs: string[]) =>
      Object.fromEntries(await Promise.all(orgs.map(async (org) => [org, await tierOf(org)] as const))),
    /** Checks out, and pays where a page opens. Returns the subscription's id. */
    async buy(org: string, tier: string) {
      const { subscription } = await checkout(org, tier);
      const { externalId, status } = subscription;
      const id = status === 'pending' ? stripe.pay(externalId) : externalId;
      await stripe.settled();
      return id;
    },
    async end(subscription: string) {
      stripe.setStatus(subscription, 'canceled');
      await stripe.settled();
    },
    async deleteCustomer(org: string) {
      const { customers } = await repository.loadOrg(org);
      stripe.deleteCustomer(customers[0]?.customerId ?? '');
      await stripe.settled();
    },
    async use(org: string, key: 'devices' | 'opens', idempotencyKey?: string) {
      const charges = [{ key }];
      const request = idempotencyKey === undefined ? { org, charges } : { org, charges, idempotencyKey };
      const admission = await billing.reserve(request);
      if (admission.admitted) await admission.reservation.commit();
      return admission.admitted;
    },
    /** Sweeps until these rows of the org are suspended: it takes two sweeps. */
    async sweepUntil(org: string, suspended: readonly string[]) {
      await waitUntil(`of ${org} ${suspended.length} rows are suspended`, async () => {
        await billing.sweep();
        expect(await suspendedOf(org)).toEqual(suspended);
        return true;
      });
    },
    suspendedOf,
    backUp: () => backUp(url),
    answers: () => [...new Set(stripe.answers().map(({ status }) => status))],
  };
}

it('limits go back with the backup in a process that goes on running, and a sync brings what was changed and ended since', async () => {
  const host = await hostWithBackup();
  const orgs = ['up', 'down', 'ended', 'deleted', 'page'];
  await host.buy('up', 'pro');
  await host.buy('down', 'business');
  const ended = await host.buy('ended', 'pro');
  await host.buy('deleted', 'pro');
  const page = await host.checkout('page', 'pro');
  const before = { up: 'pro', down: 'business', ended: 'pro', deleted: 'pro', page: 'free' };
  expect(await host.tiersOf(...orgs)).toEqual(before);
  const backup = await host.backUp();
  await host.buy('up', 'business');
  await host.buy('down', 'pro');
  await host.end(ended);
  await host.deleteCustomer('deleted');
  host.stripe.pay(page.subscription.externalId);
  await host.stripe.settled();
  const now = { up: 'business', down: 'pro', ended: 'free', deleted: 'free', page: 'pro' };
  await waitUntil('all is stored', async () => (await host.tiersOf('page')).page === 'pro');
  expect(await host.tiersOf(...orgs)).toEqual(now);

  await backup.restore();
  await waitUntil('the old limits are in force', async () => (await host.tiersOf('up')).up === 'pro');
  await waitUntil('all of them', async () => {
    expect(await host.tiersOf(...orgs)).toEqual(before);
    return true;
  });
  host.notices.length = 0;
  expect(await host.billing.sync('all')).toEqual({ checked: 5, changed: 5, unknown: 0, failed: 0 });
  expect(await host.tiersOf(...orgs)).toEqual(now);
  // What is stored again is reported again.
  expect([...host.notices].sort()).toEqual(orgs.map((org) => `subscription.changed ${org}`).sort());
  // The events that were done since the backup can be done again.
  const since = Date.now() - 3_600_000;
  expect(await host.billing.sync({ eventsSince: since })).toMatchObject({ unknown: 0, failed: 0 });
  expect(await host.tiersOf(...orgs)).toEqual(now);
  expect(host.notices).toContain('invoice.paid page');
  expect(await host.billing.sync({ eventsSince: since })).toMatchObject({ changed: 0, failed: 0 });
  expect(host.answers()).toEqual([200]);
}, 60_000);

it('an org whose customer is newer than the backup is found by no sync: its events wait until it is linked again', async () => {
  const host = await hostWithBackup();
  await host.buy('replaced', 'pro');
  const backup = await host.backUp();
  await host.buy('first', 'pro');
  await host.deleteCustomer('replaced');
  await host.buy('replaced', 'business');
  await backup.restore();
  await waitUntil('the old limits are in force', async () => (await host.tiersOf('first')).first === 'free');
  await host.billing.sync('all');
  const found = await host.billing.sync({ eventsSince: Date.now() - 3_600_000 });
  expect(found).toMatchObject({ failed: 0, unknown: expect.any(Number) });
  expect(found.unknown).toBeGreaterThan(0);
  expect(await host.tiersOf('first', 'replaced')).toEqual({ first: 'free', replaced: 'free' });

  for (const { id, metadata } of host.stripe.contents().customers)
    await host.billing.linkCustomer({ org: metadata.tollgate_org ?? '', customerId: id });
  expect(await host.tiersOf('first', 'replaced')).toEqual({ first: 'pro', replaced: 'business' });
  const { rows } = await host.pool.query(`select id from tollgate.inbox where result = 'unmatched'`);
  expect(rows).toEqual([]);
}, 60_000);

it('a page that was opened after the backup can still be paid beside the next one', async () => {
  const host = await hostWithBackup();
  await host.end(await host.buy('acme', 'pro'));
  const backup = await host.backUp();
  const lost = await host.checkout('acme', 'pro');
  await backup.restore();
  const next = await waitUntil('the next page', () => host.checkout('acme', 'pro'));
  expect(next.location).not.toBe(lost.location);
  for (const { subscription } of [lost, next]) host.stripe.pay(subscription.externalId);
  await host.stripe.settled();
  const { subscriptions } = await host.repository.loadOrg('acme');
  expect(subscriptions.map(({ status }) => status).sort()).toEqual(['active', 'active', 'canceled']);
}, 60_000);

it('an override that was retired after the backup is in force again, and one that was set, a policy and a pin are lost', async () => {
  const host = await hostWithBackup();
  const { billing } = host;
  await host.devices.add('acme', 5);
  const devices = { subjectType: 'org', key: 'devices', limit: 40, actor: 'operator' } as const;
  await billing.setOverride({ ...devices, subjectId: 'retired' });
  const backup = await host.backUp();
  await billing.setOverride({ ...devices, subjectId: 'retired', expiresAt: Date.now() - 1 });
  await billing.setOverride({ ...devices, subjectId: 'set' });
  await billing.setSelectionPolicy({ org: 'acme', policy: 'oldest_first', actor: 'admin' });
  await billing.setKeep({ org: 'acme', resource: 'devices', id: 'd1', keep: true, actor: 'admin' });
  expect((await billing.overrides()).map(({ subjectId }) => subjectId)).toEqual(['set']);
  await backup.restore();
  await waitUntil('the database is back', async () => (await billing.overrides()).length > 0);
  expect((await billing.overrides()).map(({ subjectId }) => subjectId)).toEqual(['retired']);
  expect((await billing.audit()).map(({ action }) => action)).toEqual(['override.set']);
  const status = await billing.degradation('acme');
  expect(status).toMatchObject({ policy: 'newest_first', flagged: [{ id: 'd5' }, { id: 'd4' }] });
}, 60_000);

it('a sweep before the sync suspends rows of an org that has paid, and the next one after it restores them', async () => {
  const host = await hostWithBackup();
  await host.devices.add('paid', 5);
  await host.billing.degradation('paid');
  await host.buy('paid', 'pro');
  await host.end((await host.repository.loadOrg('paid')).subscriptions[0]?.id ?? '');
  const backup = await host.backUp();
  await host.buy('paid', 'business');
  await backup.restore();
  await waitUntil('the database is back', () => host.billing.sweep());
  await host.sweepUntil('paid', ['d4', 'd5']);
  await host.billing.sync('all');
  await host.sweepUntil('paid', []);
}, 60_000);

it('rows elsewhere that were suspended after the backup are known to no sweep: the host enables those that are not picked', async () => {
  const host = await hostWithBackup({ devices: 'elsewhere' });
  const { billing } = host;
  const orgs = ['over', 'within'];
  const subscriptions: string[] = [];
  for (const org of orgs) {
    subscriptions.push(await host.buy(org, 'pro'));
    await host.devices.add(org, 5);
  }
  const backup = await host.backUp();
  for (const subscription of subscriptions) await host.end(subscription);
  await host.sweepUntil('over', ['d4', 'd5']);
  await host.sweepUntil('within', ['d9', 'd10']);
  await backup.restore();
  await waitUntil('the old limits are in force', async () => (await host.tiersOf('over')).over === 'pro');
  await host.buy('within', 'pro');
  await billing.sync('all');
  host.calls.length = 0;
  await waitUntil('what is due is suspended again', async () => {
    await billing.sweep();
    expect(host.calls).toEqual(['suspend d5', 'suspend d4']);
    return true;
  });
  expect(await host.suspendedOf('over')).toEqual(['d4', 'd5']);
  expect(await host.suspendedOf('within')).toEqual(['d9', 'd10']);

  for (const org of orgs) {
    const { flagged } = await billing.degradation(org);
    const picked = new Set(flagged.filter(({ state }) => state !== 'flagged').map(({ id }) => id));
    for (const id of await host.suspendedOf(org))
      if (!picked.has(id)) await host.devices.setSuspended(id, false);
  }
  expect(await host.suspendedOf('within')).toEqual([]);
  await host.buy('over', 'pro');
  await host.sweepUntil('over', []);
}, 60_000);

it('counters in Redis keep metered use and idempotency keys, and a recount counts the rows that are back', async () => {
  const host = await hostWithBackup();
  const { billing } = host;
  await host.devices.add('acme', 3);
  for (let n = 0; n < 2; n += 1) await host.use('acme', 'opens');
  const stored = async () =>
    (await host.pool.query(`select used::int from tollgate.usage where org = 'acme'`)).rows[0]?.used;
  await waitUntil('the use is written', async () => (await stored()) === 2);
  const backup = await host.backUp();
  for (let n = 0; n < 5; n += 1) await host.use('acme', 'opens', `open ${n}`);
  await host.devices.drop('d1');
  await billing.recount({ org: 'acme' });
  await waitUntil('the use is written', async () => (await stored()) === 7);
  await backup.restore();
  await waitUntil('the database is back', async () => (await stored()) === 2);
  expect(await host.used('acme', 'opens')).toBe(7);
  expect(await host.used('acme', 'devices')).toBe(2);
  expect(await billing.recount({ org: 'acme' })).toEqual(new Map([['devices', 3]]));
  expect(await host.use('acme', 'devices')).toBe(false);
  await host.use('acme', 'opens', 'open 0');
  expect(await host.used('acme', 'opens')).toBe(7);
  // The next use writes all of it.
  await host.use('acme', 'opens');
  await waitUntil('the use is written', async () => (await stored()) === 8);
}, 60_000);

it('counters in the same database forget metered use and idempotency keys since; of rows elsewhere a recount counts all', async () => {
  const host = await hostWithBackup({ counters: 'postgres', devices: 'elsewhere' });
  await host.use('acme', 'devices');
  await host.devices.add('acme', 1);
  await host.use('acme', 'opens');
  const backup = await host.backUp();
  await host.use('acme', 'opens', 'a key');
  for (let n = 0; n < 2; n += 1) {
    expect(await host.use('acme', 'devices')).toBe(true);
    await host.devices.add('acme', 1);
  }
  expect(await host.used('acme', 'opens')).toBe(2);
  await backup.restore();
  await waitUntil('the use is that of the backup', async () => (await host.used('acme', 'opens')) === 1);
  await host.use('acme', 'opens', 'a key');
  expect(await host.used('acme', 'opens')).toBe(2);
  expect(await host.used('acme', 'devices')).toBe(1);
  expect(await host.billing.recount({ org: 'acme' })).toEqual(new Map([['devices', 3]]));
  expect(await host.use('acme', 'devices')).toBe(false);
}, 60_000);

it('a backup from before a migration is used as soon as migrate() was called, by whichever process', async () => {
  const host = await hostWithBackup({ counters: 'postgres' });
  await host.buy('acme', 'pro');
  await host.pool.query(`
    drop table tollgate.counter_orgs, tollgate.counters, tollgate.reservations, tollgate.settled_reservations,
      tollgate.adjustments;
    delete from tollgate.migrations where number > 1`);
  const backup = await host.backUp();
  await host.repository.migrate();
  await backup.restore();
  await waitUntil('the database is back', async () => (await host.tiersOf('acme')).acme === 'pro');
  await expect(host.use('acme', 'devices')).rejects.toMatchObject({ code: 'quota_unavailable' });
  await postgresRepository({ pool: host.pool }).migrate();
  expect(await host.use('acme', 'devices')).toBe(true);
}, 60_000);

it('a copy without its sequence refuses what is audited, webhooks too, until the sequence is set as the docs say', async () => {
  const host = await hostWithBackup();
  const subscription = await host.buy('acme', 'pro');
  await host.pool.query(`select setval(pg_get_serial_sequence('tollgate.audit', 'position'), 1, false)`);
  for (let n = 0; n < 50; n += 1)
    await host.pool.query(
      `insert into tollgate.audit overriding system value select position + 1, at, org, actor, action, subject, before, after
       from tollgate.audit order by position desc limit 1`,
    );
  host.stripe.setDelivery(() => 'hold');
  await host.end(subscription);
  const held = host.stripe.held().map(({ id }) => id);
  const deliver = async () => (await host.stripe.deliver(held)).map(({ status }) => status);
  expect(await deliver()).toContain(503);
  const remedy = fencedBlocks('docs/failures.md', 'sql').map(({ code }) => code);
  expect(remedy).toHaveLength(1);
  await host.pool.query(remedy[0] ?? '');
  expect(new Set(await deliver())).toEqual(new Set([200]));
  expect(await host.tiersOf('acme')).toEqual({ acme: 'free' });
}, 60_000);
