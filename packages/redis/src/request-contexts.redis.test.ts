import { AsyncLocalStorage } from 'node:async_hooks';
import type { SettleListener } from '@tollgate/core';
import { expect, it } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { count, reservation, reserve } from './faults.test-support.ts';
import { server, store } from './outage-scene.test-support.ts';

it('what is told of a create is never told in the context of another request whose batch it went with', async () => {
  const request = new AsyncLocalStorage<string>();
  const redis = await server();
  const said: (string | undefined)[] = [];
  const say = () => void said.push(request.getStore());
  const counters = store({
    url: redis.url,
    timeoutMs: 200,
    gatherMs: 0,
    logger: { debug: () => {}, info: say, warn: say, error: say },
  });
  await count(counters, 0);
  const heard: (string | undefined)[] = [];
  const hear = () => void heard.push(request.getStore());
  const listener: SettleListener = { settled: hear, failed: hear };
  await reserve(counters, 'r');
  await reserve(counters, 's');
  said.length = 0;

  request.run('globex', () => void counters.read({ org: 'globex', counters: [] }));
  request.run('acme', () => counters.settleUnawaited?.(reservation('r'), 'commit', listener));
  await waitUntil('the first is settled', () => heard.length === 1);
  await redis.kill('SIGKILL');
  request.run('globex', () => void counters.read({ org: 'globex', counters: [] }).catch(() => {}));
  request.run('acme', () => counters.settleUnawaited?.(reservation('s'), 'commit', listener));
  await waitUntil('the second has failed', () => heard.length === 2 && said.length > 0);
  expect(heard).toEqual([undefined, undefined]);
  expect(new Set(said)).toEqual(new Set([undefined]));
});
