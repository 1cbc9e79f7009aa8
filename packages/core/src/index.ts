export type { Billing } from './billing-interface.ts';
export { type OpenAppQuotaKey, openAppQuotas } from './catalog/openapp.ts';
export type { QuotaDefinition, QuotaPeriod, QuotaRegistry, QuotaUnit } from './catalog/quota.ts';
export { capacity, metered, QUOTA_PERIODS, QUOTA_UNITS } from './catalog/quota.ts';
export type * from './catalog/tier.ts';
export { createBilling } from './create-billing.ts';
export { noTelemetry } from './defaults/no-telemetry.ts';
export { stderrLogger } from './defaults/stderr-logger.ts';
export { systemClock } from './defaults/system-clock.ts';
export { ulidIds } from './defaults/ulid-ids.ts';
export { unfailing } from './defaults/unfailing.ts';
export type { Preview, PreviewKey, PreviewRequest } from './degradation/previews.ts';
export type { StageAt } from './degradation/stage-at.ts';
export type { Sweeper, SweepRequest, SweepResult } from './degradation/sweeps.ts';
export type * from './degradation/types.ts';
export { ERROR_CODES, type ErrorCode } from './errors/codes.ts';
export { TollgateError } from './errors/tollgate-error.ts';
export {
  createFriction,
  createStandingOf,
  FRICTION_HEADER,
  type FrictionOptions,
  type StandingOptions,
} from './guard/friction.ts';
export {
  createGuard,
  createRelease,
  type Ending,
  type Entered,
  type Guard,
  type GuardedRequest,
} from './guard/guard.ts';
export { guardNodeRequest } from './guard/guard-node-request.ts';
export type * from './guard/guard-options.ts';
export { attachReservation, keepReservation, reservationOf } from './guard/reservation-of.ts';
export { billingPaths, billingRoutes } from './http/billing-routes.ts';
export { dispatch, dispatchPath } from './http/dispatch.ts';
export { type Engine, engineOf, isBilling } from './http/engine.ts';
export { keepBytes, recordBytes } from './http/kept-body.ts';
export { mountPrefix } from './http/mount-prefix.ts';
export { createNodeRequest, type NodeRequestSource } from './http/node-request.ts';
export { openApiDocument } from './http/openapi.ts';
export { attachPassage, type Passage, passageOf } from './http/passage.ts';
export { rateLimitHeaders, setRateLimitHeaders } from './http/rate-limit-headers.ts';
export { matchPath, rawPath } from './http/raw-path.ts';
export { deniedReply, errorReply } from './http/reply.ts';
export type { Route, RouteAnswer, RouteContext } from './http/route.ts';
export type { CounterContents } from './memory/counter-contents.ts';
export { CounterLedger, nameOf as counterName } from './memory/counter-ledger.ts';
export { type MemoryBillingRepository, memoryBillingRepository } from './memory/memory-billing-repository.ts';
export {
  type MemoryCounterStore,
  type MemoryCounterStoreOptions,
  memoryCounterStore,
} from './memory/memory-counter-store.ts';
export type * from './notices/types.ts';
export type {
  BillingOptions,
  LifecycleOptions,
  OverCapacityOptions,
  RowCallback,
  RowCallbackRequest,
} from './options.ts';
export { outsideRequests } from './outside-requests.ts';
export type * from './overrides/types.ts';
export {
  checkAdjust,
  checkCounts,
  checkRenew,
  checkReservation,
  checkReserve,
  checkSettle,
} from './ports/counter-store-checks.ts';
export type * from './ports/index.ts';
export type * from './quota/types.ts';
export type { SandboxOptions } from './sandbox/sandbox-options.ts';
export type { SandboxOutage } from './sandbox/sandbox-outage.ts';
export { type SandboxContents, type SandboxProvider, sandboxProvider } from './sandbox/sandbox-provider.ts';
export type {
  SandboxCustomer,
  SandboxEvent,
  SandboxEventType,
  SandboxSession,
} from './sandbox/sandbox-state.ts';
export type * from './subscription/types.ts';
