import { TollgateError } from '../errors/tollgate-error.ts';
import type { BillingEventKind, ProviderEvent } from '../ports/payment-provider.ts';
import type { SandboxEvent } from './sandbox-state.ts';

const KINDS: ReadonlyMap<string, BillingEventKind> = new Map([
  ['subscription.created', 'subscription_created'],
  ['subscription.updated', 'subscription_updated'],
  ['subscription.canceled', 'subscription_canceled'],
  ['invoice.paid', 'invoice_paid'],
  ['invoice.failed', 'invoice_failed'],
]);

/** The bytes of an event as the sandbox posts it. */
export function sandboxEventBytes(event: SandboxEvent): Uint8Array {
  const { id, type, createdAt, customerId, subscriptionId, sessionId, status, tier } = event;
  const data = { customer: customerId, subscription: subscriptionId, session: sessionId, status, tier };
  return new TextEncoder().encode(JSON.stringify({ id, type, created: createdAt, livemode: false, data }));
}

/**
 * Reads signed bytes as an event. An unknown type has kind `other`.
 *
 * @throws TollgateError `invalid_event` for bytes that are not an event.
 */
export function parseSandboxEvent(bytes: Uint8Array): ProviderEvent {
  const event = parseObject(bytes);
  const id = own(event, 'id');
  const type = own(event, 'type');
  const createdAt = own(event, 'created');
  const livemode = own(event, 'livemode');
  const data = own(event, 'data');
  if (
    !isWord(id) ||
    !isWord(type) ||
    !Number.isSafeInteger(createdAt) ||
    typeof livemode !== 'boolean' ||
    !isObject(data)
  ) {
    throw new TollgateError('invalid_event');
  }
  const word = (name: string) => {
    const value = own(data, name) ?? null;
    if (value !== null && !isWord(value)) throw new TollgateError('invalid_event');
    return value;
  };
  return {
    id,
    type,
    kind: KINDS.get(type) ?? 'other',
    livemode,
    createdAt: Number(createdAt),
    customerId: word('customer'),
    subscriptionId: word('subscription'),
    status: word('status'),
    tier: word('tier'),
    checkoutSessionId: type.startsWith('checkout.') ? word('session') : null,
  };
}

function parseObject(bytes: Uint8Array): object {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new TollgateError('invalid_event');
  }
  if (!isObject(value)) throw new TollgateError('invalid_event');
  return value;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 255;
}

function own(object: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(object, name)?.value;
}
