export type { RedisCounterStoreOptions } from './options.ts';
export { redisCounterStore } from './redis-counter-store.ts';
