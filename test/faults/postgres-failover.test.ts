import { postgresCounterStore } from '@tollgate/postgres';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { gate } from '../guard/guard-scene.ts';
import { startPostgres, startStandby, tcpProxy, waitUntil } from '../support/services.ts';
import { appOn } from './redis-app.ts';
import { answersAgain } from './redis-servers.ts';

/** A primary, its standby, and what stands before them as a managed service's address does. */
async function primaryAndStandby() {
  const primary = await startPostgres();
  onTestFinished(() => primary.stop());
  const replication = await tcpProxy(primary.port);
  onTestFinished(() => replication.close());
  const standby = await startStandby(replication.port);
  onTestFinished(() => standby.stop());
  const address = await tcpProxy(primary.port);
  onTestFinished(() => address.close());
  const ask = async (url: string, text: string, values: string[] = []) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(text, values)).rows[0];
    } finally {
      await client.end();
    }
  };
  return {
    primary,
    address,
    /** From now on the standby hears of nothing that the primary acknowledges. */
    async loseTheRest() {
      const { lsn } = await ask(primary.url, 'select pg_current_wal_lsn() as lsn');
      const isThere = 'select pg_last_wal_replay_lsn() >= $1::pg_lsn as it';
      await waitUntil('the standby has all', async () => (await ask(standby.url, isThere, [lsn])).it);
      replication.cut();
    },
    async failOver() {
      await ask(standby.url, 'select pg_promote()');
      address.redirect(standby.port);
    },
  };
}

it('metered units whose reservations a promoted standby never had are counted when their handlers end (F21, Q8)', async () => {
  const { primary, address, loseTheRest, failOver } = await primaryAndStandby();
  const pool = new pg.Pool({
    connectionString: `postgres://tollgate@127.0.0.1:${address.port}/postgres`,
    max: 4,
    connectionTimeoutMillis: 500,
  });
  onTestFinished(() => pool.end());
  const store = postgresCounterStore({ pool, timeoutMs: 1_000 });
  await store.migrate();
  const app = await appOn('express 5', store);
  const opens = { keys: ['door_opens'] } as const;
  const used = async () => {
    const { items } = await app.billing.usage({ org: 'acme' });
    return items.find(({ key }) => key === 'door_opens')?.current;
  };
  await app.fill(1, opens);
  await waitUntil('it is counted', async () => (await used()) === 1);
  await loseTheRest();

  const [away, back] = [gate(), gate()];
  const endsWhileAway = await app.begin({ ...opens, until: away.opened });
  const endsAfterwards = await app.begin({ ...opens, until: back.opened });
  await primary.kill('SIGKILL');
  away.open();
  expect((await endsWhileAway.answer).status).toBe(201);
  await waitUntil('its end was not heard', async () => (await app.create()).status === 503);
  await failOver();
  await answersAgain(app);
  back.open();
  expect((await endsAfterwards.answer).status).toBe(201);
  await waitUntil('all are counted', async () => (await used()) === 3);
}, 60_000);
