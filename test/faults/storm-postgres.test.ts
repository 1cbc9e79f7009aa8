import { postgresCounterStore } from '@tollgate/postgres';
import pg from 'pg';
import { describe, it, onTestFinished } from 'vitest';
import { type PostgresServer, startPostgres, type TcpProxy, tcpProxy } from '../support/services.ts';
import { frameworks } from './redis-app.ts';
import { expectExact, type Faults, onLinks, SEEDS, storm, type Weather } from './storm.ts';

interface PostgresWeather extends Weather {
  /** Another one after each restart. */
  server: PostgresServer;
  /** A link for each process. */
  readonly links: readonly TcpProxy[];
  /** An operator's console, for as long as `use` takes. */
  readonly atConsole: <T>(use: (client: pg.Client) => Promise<T>) => Promise<T>;
}

/** After these the database has everything that it acknowledged. */
const harmless: Faults<PostgresWeather> = {
  ...onLinks,
  'sessions are ended': ({ atConsole }) =>
    atConsole(async (client) => {
      await client.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()',
      );
    }),
  'a table is locked': ({ atConsole, dice }) =>
    atConsole(async (client) => {
      await client.query('begin; lock table tollgate.counters in access exclusive mode');
      await dice.chance(10);
      await client.query('rollback');
    }),
  'it is restarted fast': (weather) => restart(weather, 'SIGINT'),
  'it crashes and recovers': (weather) => restart(weather, 'SIGQUIT'),
};

async function restart(weather: PostgresWeather, signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
  const { port, dir } = weather.server;
  await weather.server.kill(signal);
  weather.server = await startPostgres({ port, dir });
}

async function stormOverPostgres(seed: number) {
  const first = await startPostgres();
  let weather: PostgresWeather | undefined;
  onTestFinished(async () => {
    await weather?.server.stop();
    await first.stop();
  });
  const atConsole: PostgresWeather['atConsole'] = async (use) => {
    const client = new pg.Client({ connectionString: first.url });
    client.on('error', () => {});
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  };
  const links = await Promise.all(
    frameworks.map(async () => {
      const link = await tcpProxy(first.port);
      onTestFinished(() => link.close());
      return link;
    }),
  );
  const stores = links.map(({ host, port }) => {
    const pool = new pg.Pool({
      host,
      port,
      user: 'tollgate',
      database: 'postgres',
      max: 5,
      connectionTimeoutMillis: 500,
    });
    pool.on('error', () => {});
    onTestFinished(() => pool.end());
    return postgresCounterStore({ pool, timeoutMs: 500 });
  });
  await stores[0]?.migrate();
  return storm(seed, harmless, stores, (all) => (weather = { ...all, server: first, links, atConsole }));
}

describe.each(SEEDS)('in storm %i over Postgres, with four processes under load', (seed) => {
  it('no limit is overrun, nothing is forgotten and no room is lost (Q1, Q3, Q8, Q13, F21-F23)', async () => {
    await expectExact(await stormOverPostgres(seed));
  }, 120_000);
});
