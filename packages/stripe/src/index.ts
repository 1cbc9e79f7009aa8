export type { StripeOptions, TierPrices } from './stripe-options.ts';
export { type StripeProvider, stripeProvider } from './stripe-provider.ts';
