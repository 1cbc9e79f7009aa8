export type { Billing } from './billing-interface.ts';
export type { QuotaDefinition, QuotaPeriod, QuotaRegistry, QuotaUnit } from './catalog/quota.ts';
export { capacity, metered, QUOTA_PERIODS, QUOTA_UNITS } from './catalog/quota.ts';
export type * from './catalog/tier.ts';
export { noTelemetry } from './defaults/no-telemetry.ts';
export { stderrLogger } from './defaults/stderr-logger.ts';
export { systemClock } from './defaults/system-clock.ts';
export { ulidIds } from './defaults/ulid-ids.ts';
export type * from './degradation/types.ts';
export { ERROR_CODES, type ErrorCode } from './errors/codes.ts';
export { TollgateError } from './errors/tollgate-error.ts';
export type { CounterContents } from './memory/counter-contents.ts';
export {
  type MemoryCounterStore,
  type MemoryCounterStoreOptions,
  memoryCounterStore,
} from './memory/memory-counter-store.ts';
export type { BillingOptions, OverCapacityOptions } from './options.ts';
export type * from './overrides/types.ts';
export { checkAdjustments, checkCounts, checkReserve, checkSettle } from './ports/counter-store-checks.ts';
export type * from './ports/index.ts';
export type * from './quota/types.ts';
export type * from './subscription/types.ts';
