export { counterStoreContract } from './counter-store-contract.ts';
export type { CounterStoreHost, CounterStoreTiming, StoredCounter } from './counter-store-host.ts';
export { type FakeClock, fakeClock } from './fake-clock.ts';
