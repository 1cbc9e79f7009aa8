import { runCounterStoreHistories } from '@tollgate/testing';
import { Redis } from 'ioredis';
import { afterAll, describe, inject, it } from 'vitest';
import { testedStore } from './redis-host.test-support.ts';

const RUNS = Number(process.env['TOLLGATE_REDIS_HISTORIES'] ?? 1_000);
const client = new Redis(inject('redisUrl'));
afterAll(() => client.disconnect());

describe('the Redis counter store', () => {
  it('answers every history as the port says (Q11)', { timeout: 1_200_000 }, () =>
    runCounterStoreHistories({
      runs: RUNS,
      lapsedKeepMs: 20_000,
      create() {
        const store = testedStore(client, 20_000);
        const { clock } = store;
        return { store, now: clock.now, advance: clock.advance, teardown: store.close };
      },
    }),
  );
});
