import { spawnSync } from 'node:child_process';
import { Cluster, Redis } from 'ioredis';
import { Client } from 'pg';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { startPostgres, startRedis, startRedisCluster, waitUntil } from './services.ts';

const cleanups: (() => Promise<unknown>)[] = [];

function later<T>(value: T, cleanup: (value: T) => Promise<unknown>): T {
  cleanups.push(() => cleanup(value));
  return value;
}

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('the services of a test run', () => {
  test('Redis answers a ping', async () => {
    const redis = later(new Redis(inject('redisUrl')), (client) => client.quit());
    expect(await redis.ping()).toBe('PONG');
  });

  test('PostgreSQL answers a query', async () => {
    const client = later(new Client({ connectionString: inject('databaseUrl') }), (c) => c.end());
    await client.connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
});

describe('a program that is not there and cannot be installed', () => {
  const script = `
    const { findProgram } = await import(${JSON.stringify(new URL('find-program.ts', import.meta.url).href)});
    const program = { title: 'Nothing', names: ['tollgate-nothing'], debianPackages: ['nothing'], variable: 'NOTHING_URL' };
    await findProgram(program).catch((error) => console.log(error.message));
  `;

  test('is told in one line, at once, and keeps no run from ending', () => {
    const { stdout, signal } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', script],
      { encoding: 'utf8', env: { PATH: '' }, timeout: 15_000 },
    );
    expect(stdout).toBe(
      'Nothing is needed by the tests and was not found: install it (Debian: apt-get install nothing) or set NOTHING_URL.\n',
    );
    expect(signal).toBeNull();
  });
});

describe('services of one test', () => {
  test('a Redis Cluster keeps a key in each of its nodes', { timeout: 60_000 }, async () => {
    const cluster = later(await startRedisCluster(), (c) => c.stop());
    const nodes = cluster.nodes.map(({ host, port }) => ({ host, port }));
    const client = later(new Cluster(nodes), async (c) => c.disconnect());
    const keys = Array.from({ length: 30 }, (_, index) => `key:${index}`);
    for (const key of keys) await client.set(key, key);
    for (const key of keys) expect(await client.get(key)).toBe(key);
    const sizes = await Promise.all(client.nodes('master').map((node) => node.dbsize()));
    expect(sizes).toHaveLength(3);
    expect(Math.min(...sizes)).toBeGreaterThan(0);
  });

  test('a killed Redis comes back on the same port and folder', async () => {
    const first = later(await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] }), (s) =>
      s.stop(),
    );
    const writer = new Redis(first.url, { lazyConnect: true, retryStrategy: () => null });
    writer.on('error', () => {});
    await writer.set('kept', 'yes');
    await first.kill('SIGKILL');
    expect(isAlive(first.pid)).toBe(false);
    const args = ['--appendonly', 'yes'];
    const second = later(await startRedis({ port: first.port, dir: first.dir, args }), (s) => s.stop());
    const reader = later(new Redis(second.url), (client) => client.quit());
    expect(await reader.get('kept')).toBe('yes');
  });

  test('a killed PostgreSQL comes back with what was committed', { timeout: 60_000 }, async () => {
    const first = later(await startPostgres(), (s) => s.stop());
    const writer = new Client({ connectionString: first.url });
    writer.on('error', () => {});
    await writer.connect();
    await writer.query('create table kept (id int)');
    await first.kill('SIGQUIT');
    const second = later(await startPostgres({ port: first.port, dir: first.dir }), (s) => s.stop());
    const reader = later(new Client({ connectionString: second.url }), (c) => c.end());
    await reader.connect();
    expect((await reader.query('select * from kept')).rows).toEqual([]);
  });

  test('a stopped service is gone when stop resolves', async () => {
    const redis = await startRedis();
    await redis.kill('SIGSTOP');
    await redis.stop();
    await waitUntil('the process is gone', () => !isAlive(redis.pid));
  });
});
