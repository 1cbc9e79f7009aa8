import { inspect } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { expect, inject, it, vi } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { openRedisCounterStore } from './redis-counter-store.ts';

const url = new URL(inject('redisUrl'));
const counters = [{ key: 'devices', window: 'lifetime' }];

const login = { username: 'nobody', password: 'sentinel' };
const nodes = [{ host: url.hostname, port: Number(url.port) }];

it.each([
  ['a url', () => ({ url: Object.assign(new URL(url), login).href })],
  ['a client', () => ({ client: new Redis(url.href, { ...login, lazyConnect: true }) })],
  [
    'a client of ioredis 5',
    () => ({ client: new Redis5(url.href, { ...login, lazyConnect: true }) as unknown as Redis }),
  ],
  ['a Cluster', () => ({ client: new Cluster(nodes, { redisOptions: login, lazyConnect: true }) })],
])('a password that Redis does not take is in no log and in no error: of %s (T30)', async (_what, target) => {
  const logged = vi.fn();
  const logger = { debug: logged, info: logged, warn: logged, error: logged };
  const store = openRedisCounterStore({ ...target(), logger });
  const refused = await store.read({ org: 'acme', counters }).catch((error: unknown) => error);
  await waitUntil('it was told of', () => logged.mock.calls.length > 1);
  await store.close();
  const shown = inspect([refused, logged.mock.calls], { depth: 9 });
  expect(shown).toContain('WRONGPASS');
  expect(shown).not.toContain('sentinel');
});
