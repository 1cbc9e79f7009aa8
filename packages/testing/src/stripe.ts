export type { Card as StandInCard } from './stripe-stand-in/books.ts';
export type { DeliveryAnswer, DeliveryRule } from './stripe-stand-in/deliveries.ts';
export type { FaultFilter, StandInFault } from './stripe-stand-in/faults.ts';
export type { Dunning as StandInDunning } from './stripe-stand-in/invoices.ts';
export type { EventObject as StandInEvent, Status as StandInStatus } from './stripe-stand-in/objects.ts';
export { signStripeWebhook } from './stripe-stand-in/sign-webhook.ts';
export type {
  SignedStripeWebhook,
  StandInRequest,
  StripeStandIn,
  StripeStandInOptions,
} from './stripe-stand-in/stand-in-interface.ts';
export { stripeStandIn } from './stripe-stand-in/stripe-stand-in.ts';
