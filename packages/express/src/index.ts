export { type BillingRouterOptions, billingRouter } from './billing-router.ts';
export { keepRawBody } from './keep-raw-body.ts';
