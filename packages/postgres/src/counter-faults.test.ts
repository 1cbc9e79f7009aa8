import { randomBytes } from 'node:crypto';
import type { Charge } from '@tollgate/core';
import pg from 'pg';
import { expect, inject, it, onTestFinished } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { postgresCounterStore } from './postgres-counter-store.ts';

const DEVICES = { key: 'devices', window: 'lifetime' };
const charges: readonly Charge[] = [
  { ...DEVICES, amount: 1, limit: 100, onUnknown: 'uncertain', forgetAt: null },
];

/** A store that waits 300 ms for the database. */
async function scene() {
  const schema = `counter_faults_${randomBytes(4).toString('hex')}`;
  const pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 4 });
  onTestFinished(() => pool.end());
  const store = postgresCounterStore({ pool, schema, timeoutMs: 300 });
  await store.migrate();
  onTestFinished(async () => void (await pool.query(`drop schema ${schema} cascade`)));
  onTestFinished(() => store.close());
  return { pool, schema, store };
}

it('an org that is locked does not stop the renewals of others (Q6)', async () => {
  const { pool, schema, store } = await scene();
  for (const org of ['locked', 'free']) {
    const tokens = await store.beginRecount({ org, counters: [DEVICES] });
    await store.finishRecount({
      org,
      counts: tokens.map((token) => ({ ...token, count: 0, forgetAt: null })),
    });
    for (const id of ['renewed', 'left alone'])
      await store.reserve({ org, id, charges, rememberMs: 0, leaseMs: 2_000, maxHeld: 10 });
  }
  const locking = await pool.connect();
  onTestFinished(() => locking.release());
  await locking.query(`begin; select * from ${schema}.counter_orgs where org = 'locked' for update`);
  const leases = ['locked', 'free'].map((org) => ({ org, id: 'renewed' }));
  await expect(store.renew({ leases, leaseMs: 60_000 })).rejects.toMatchObject({ code: 'quota_unavailable' });
  const reading = async () => (await store.read({ org: 'free', counters: [DEVICES] }))[0];
  await waitUntil('the other lease is over', async () => ((await reading())?.uncertain ?? 0) > 0);
  expect(await reading()).toMatchObject({ held: 1, uncertain: 1 });
  await locking.query('rollback');
});
