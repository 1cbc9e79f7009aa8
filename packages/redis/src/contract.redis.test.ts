import { counterStoreContract } from '@tollgate/testing';
import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { afterAll, inject } from 'vitest';
import { redisHost } from './redis-host.test-support.ts';

const client = new Redis(inject('redisUrl'));
/** The oldest that a host may have, and another installed copy than the store's own. */
const oldest = new Redis5(inject('redisUrl')) as unknown as Redis;
afterAll(() => {
  client.disconnect();
  oldest.disconnect();
});

const shared = { impossibleBecause: 'other tests share this server' };
counterStoreContract(redisHost('one Redis', () => client, shared));
counterStoreContract(redisHost('one Redis, by a client of another ioredis', () => oldest, shared));
