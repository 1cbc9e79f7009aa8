import { randomBytes } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import { startRedis, waitUntil } from '../support/services.ts';
import { redisApp } from './redis-app.ts';
import { consoleOf, ownRedis } from './redis-servers.ts';

it('is back soon after Redis has loaded, however long Redis believed it would take (F17)', {
  timeout: 60_000,
}, async () => {
  const redis = await ownRedis();
  const app = await redisApp('express 5', { url: redis.url });
  await app.fill(1);
  await app.countsTheRows();
  const client = consoleOf(redis);
  // Few bytes in most keys, which come first: Redis believes for long that it has hardly begun.
  const small = Array.from({ length: 5_000 }, (_, index) => ['set', `small:${index}`, 'x']);
  await client
    .pipeline([...small, ['select', '1'], ['set', 'large', randomBytes(20_000_000)], ['select', '0']])
    .exec();
  await client.save();
  await redis.kill('SIGKILL');
  const slowly = ['--key-load-delay', '400', '--loading-process-events-interval-bytes', '1024'];
  const starting = startRedis({ port: redis.port, dir: redis.dir, args: slowly });
  onTestFinished(async () => (await starting).stop());
  await starting;
  const loadedAt = performance.now();
  await waitUntil('a create is let in', async () => (await app.create()).status === 201, {
    timeoutMs: 30_000,
  });
  expect(performance.now() - loadedAt).toBeLessThan(4_000);
});
