import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import {
  type RedisOptions,
  type RedisServer,
  startRedis,
  type TcpProxy,
  tcpProxy,
  waitUntil,
} from '../support/services.ts';
import type { RedisApp } from './redis-app.ts';

/** Writes every command to the file before it is answered. */
export const APPEND_ONLY = ['--appendonly', 'yes', '--appendfsync', 'always'] as const;

/** A Redis that is stopped when the test ends. */
export async function ownRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  onTestFinished(() => redis.stop());
  return redis;
}

/** Starts a killed server anew, on its port and in its folder. */
export function restarted({ port, dir }: RedisServer, args: readonly string[] = []): Promise<RedisServer> {
  return ownRedis({ port, dir, args });
}

/** A link to a server that can be injured. */
export async function linkTo(redis: RedisServer): Promise<TcpProxy & { readonly url: string }> {
  const proxy = await tcpProxy(redis.port);
  onTestFinished(() => proxy.close());
  return Object.assign(proxy, { url: `redis://127.0.0.1:${proxy.port}` });
}

/** A plain client: what an operator's console is. It does not hide what a server says while it cannot serve. */
export function consoleOf({ url }: { readonly url: string }): Redis {
  const client = new Redis(url, { enableReadyCheck: false, retryStrategy: () => 20 });
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

/** Every key whose name has the org's in it, however keys are spelled. */
export async function keysOfOrg(client: Redis, org: string): Promise<string[]> {
  const keys = new Set<string>();
  let cursor = '0';
  do {
    const [next, found] = await client.scan(cursor, 'MATCH', `*${org}*`, 'COUNT', 1_000);
    for (const key of found) keys.add(key);
    cursor = next;
  } while (cursor !== '0');
  return [...keys];
}

/** How often a server answered with an error of this name. */
export async function errorsOf(client: Redis, name: string): Promise<number> {
  const found = new RegExp(`errorstat_${name}:count=(\\d+)`).exec(await client.info('errorstats'));
  return Number(found?.[1] ?? 0);
}

/** Waits until an app's store gets answers again. */
export async function answersAgain(app: Pick<RedisApp, 'reading'>): Promise<void> {
  await waitUntil('the store is answered again', async () => {
    await app.reading('nobody');
    return true;
  });
}
