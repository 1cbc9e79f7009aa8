export { reservationOf } from '@tollgate/core';
export { type BillingRouterOptions, billingRouter } from './billing-router.ts';
export { degradation, friction } from './friction.ts';
export { keepRawBody } from './keep-raw-body.ts';
export type { Middleware } from './middleware.ts';
export { releaseQuota } from './release-quota.ts';
export { requireQuota } from './require-quota.ts';
