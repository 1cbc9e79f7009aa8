import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { type TcpProxy, tcpProxy } from './services.ts';

let proxy: TcpProxy;
let throughProxy: Redis;
let direct: Redis;
const key = `tcp-proxy:${process.pid}`;

beforeEach(async () => {
  const { port, hostname } = new URL(inject('redisUrl'));
  proxy = await tcpProxy(Number(port || 6379), hostname);
  const url = new URL(inject('redisUrl'));
  url.hostname = proxy.host;
  url.port = `${proxy.port}`;
  throughProxy = new Redis(url.href, {
    commandTimeout: 2_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => 10,
  });
  throughProxy.on('error', () => {});
  direct = new Redis(inject('redisUrl'));
});

afterEach(async () => {
  throughProxy.disconnect();
  await direct.del(key);
  direct.disconnect();
  await proxy.close();
});

test('it passes bytes on untouched', async () => {
  await throughProxy.set(key, 'x'.repeat(1_000_000));
  expect((await direct.get(key))?.length).toBe(1_000_000);
});

test('a cut fails what is under way and what comes next, a restore heals it', async () => {
  await throughProxy.ping();
  proxy.cut();
  await expect(throughProxy.ping()).rejects.toThrow();
  expect(proxy.connectionCount).toBe(0);
  proxy.restore();
  await expect.poll(() => throughProxy.ping().catch(() => 'down')).toBe('PONG');
});

test('a swallowed reply leaves the effect', async () => {
  await throughProxy.ping();
  proxy.dropReplies(true);
  await expect(throughProxy.incr(key)).rejects.toThrow('Command timed out');
  expect(await direct.get(key)).toBe('1');
});

test('a delay is felt both ways and keeps the order', async () => {
  await throughProxy.ping();
  proxy.delay(30);
  const startedAt = performance.now();
  const answers = await Promise.all([1, 2, 3].map(() => throughProxy.incr(key)));
  expect(answers).toEqual([1, 2, 3]);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(59);
});

test('an endless delay makes the service seem hung', async () => {
  await throughProxy.ping();
  proxy.delay(Number.POSITIVE_INFINITY);
  await expect(throughProxy.ping()).rejects.toThrow('Command timed out');
});
