export { billingRepositoryContract } from './billing-repository-contract.ts';
export type { BillingRepositoryHost } from './billing-repository-host.ts';
export {
  type BillingRepositoryHistory,
  type BillingRepositoryPair,
  billingRepositoryHistories,
  playBillingRepositoryHistory,
} from './billing-repository-model.ts';
export { runSimulatedHosts, type SimulatedHostStore } from './counter-host-histories.ts';
export { counterStoreContract } from './counter-store-contract.ts';
export type { CounterStoreHost, CounterStoreTiming, StoredCounter } from './counter-store-host.ts';
export {
  type CounterGrid,
  type CounterHistoriesHost,
  type CounterModelStore,
  counterModelStore,
  counterStoreCommands,
  runCounterStoreHistories,
} from './counter-store-model.ts';
export { type FakeClock, fakeClock } from './fake-clock.ts';
export {
  type LifecycleHistory,
  type LifecycleStep,
  type LifecycleStores,
  lifecycleHistories,
  playLifecycleHistory,
} from './lifecycle-model.ts';
export { paymentProviderContract } from './payment-provider-contract.ts';
export type { PaymentProviderHost, ProviderOutage, SignedWebhook } from './payment-provider-host.ts';
export { parseResponse, type RawRequest, type RawResponse, rawBytes, rawExchange } from './raw-exchange.ts';
export { checkAnswer, type RunningServer, type ServerHost, serverContract } from './server-contract.ts';
export {
  fixtureAccess,
  PRINCIPALS,
  type PrincipalKey,
  type ServerFixture,
  serverFixture,
} from './server-fixture.ts';
export type { ServerRequest } from './server-requests/server-request.ts';
export { mountRequest, serverRequests } from './server-requests/server-requests.ts';
export * from './stripe.ts';
