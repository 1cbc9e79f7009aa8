import { redisCounterStore } from '@tollgate/redis';
import type { Redis } from 'ioredis';

const KEYS = ['devices', 'entities', 'zones', 'integrations', 'api_keys', 'org_users'];
const ORGS = 5_000;

/** Redis bytes per idle org and resource: for orgs that use one key, and for orgs that use six. */
export async function bytesPerIdleResource(url: string, admin: Redis): Promise<ReadonlyMap<number, number>> {
  const bytes = new Map<number, number>();
  for (const used of [1, KEYS.length]) {
    await admin.flushall('SYNC');
    const before = await usedMemory(admin);
    const store = redisCounterStore({ url, timeoutMs: 10_000 });
    for (let first = 0; first < ORGS; first += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, index) => useOrg(first + index, KEYS.slice(0, used))),
      );
    }
    await store.close();
    bytes.set(used, ((await usedMemory(admin)) - before) / ORGS / used);

    async function useOrg(number: number, keys: readonly string[]): Promise<void> {
      const org = `org_${String(number).padStart(16, '0')}`;
      const counters = keys.map((key) => ({ key, window: 'lifetime' }));
      const tokens = await store.beginRecount({ org, counters });
      await store.finishRecount({
        org,
        counts: tokens.map((token) => ({ ...token, count: 5, forgetAt: null })),
      });
      const charges = counters.map((counter) => ({
        ...counter,
        amount: 1,
        limit: 100,
        onUnknown: 'uncertain' as const,
        forgetAt: null,
      }));
      const reservation = { org, id: `r${number}`, charges, rememberMs: 0 };
      await store.reserve({ ...reservation, leaseMs: 30_000, maxHeld: 10 });
      await store.settle({ ...reservation, as: 'commit' });
    }
  }
  return bytes;
}

async function usedMemory(admin: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1]);
}
