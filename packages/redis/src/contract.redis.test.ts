import { counterStoreContract } from '@tollgate/testing';
import { Redis } from 'ioredis';
import { afterAll, inject } from 'vitest';
import { redisHost } from './redis-host.test-support.ts';

const client = new Redis(inject('redisUrl'));
afterAll(() => client.disconnect());

counterStoreContract(
  redisHost('one Redis', () => client, { impossibleBecause: 'other tests share this server' }),
);
