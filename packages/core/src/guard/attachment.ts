import type { Billing } from '../billing-interface.ts';

const ATTACHMENT = Symbol.for('tollgate.attachment');

/** What a request that passed through `billingRouter` carries: its engine, and where the routes are mounted (no slash at the end). */
export interface Attachment {
  readonly billing: Billing;
  readonly basePath: string;
}

/** Attaches the engine to a framework's request, for the guards behind the router. */
export function attach(native: object, attachment: Attachment): void {
  Object.defineProperty(native, ATTACHMENT, { value: attachment, configurable: true, enumerable: false });
}

/** The engine a request passed through; undefined when it passed none. */
export function attachmentOf(native: object): Attachment | undefined {
  return (native as { [ATTACHMENT]?: Attachment })[ATTACHMENT];
}
