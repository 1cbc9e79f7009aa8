import { type ProviderEvent, TollgateError } from '@tollgate/core';
import type { Stripe } from 'stripe';
import { isMissing } from './call-stripe.ts';
import { kindOf } from './event-kinds.ts';
import { own, textOf } from './own.ts';
import type { PriceTable } from './price-table.ts';
import type { StripeClient } from './stripe-client.ts';
import { NO_SUBJECT, subjectOf } from './to-provider-event.ts';

type Fetch = (stripe: Stripe, id: string) => Promise<unknown>;

const FETCHES: ReadonlyMap<string, Fetch> = new Map<string, Fetch>([
  ['subscription', (stripe, id) => stripe.subscriptions.retrieve(id)],
  ['invoice', (stripe, id) => stripe.invoices.retrieve(id)],
  ['checkout.session', (stripe, id) => stripe.checkout.sessions.retrieve(id)],
  ['subscription_schedule', (stripe, id) => stripe.subscriptionSchedules.retrieve(id)],
]);

/** Whether an event is a thin event rather than a snapshot event. */
export function isThin(event: unknown): boolean {
  return own(event, 'object') === 'v2.core.event';
}

/** The names in a thin event. @throws TollgateError `invalid_event` when it lacks one */
export function thinNames(event: unknown) {
  const id = textOf(own(event, 'id'));
  const type = textOf(own(event, 'type'));
  const created = textOf(own(event, 'created'));
  const livemode = own(event, 'livemode');
  const createdAt = created === null ? Number.NaN : Date.parse(created);
  if (id === null || type === null || !Number.isSafeInteger(createdAt) || typeof livemode !== 'boolean')
    throw new TollgateError('invalid_event');
  const related = own(event, 'related_object');
  return {
    // Stripe may send the same event as a snapshot event, too: under the snapshot's id the two have one effect.
    id: textOf(own(event, 'snapshot_event')) ?? id,
    type,
    createdAt,
    livemode,
    relatedType: textOf(own(related, 'type')),
    relatedId: textOf(own(related, 'id')),
  };
}

/**
 * A thin event with its object, which is fetched by id from the API's own address: the address in the event is never followed.
 * If the object's type is unknown here, or its id unknown to Stripe, the event is of kind `other`.
 *
 * @throws TollgateError when the fetch fails: the event must be delivered again
 */
export async function fetchThinEvent(
  names: ReturnType<typeof thinNames>,
  client: StripeClient,
  prices: PriceTable,
): Promise<ProviderEvent> {
  const { relatedType, relatedId, ...event } = names;
  const kind = kindOf(event.type.replace(/^v1\./, ''));
  const fetch = relatedType === null ? undefined : FETCHES.get(relatedType);
  if (fetch === undefined || relatedId === null) return { ...event, kind: 'other', ...NO_SUBJECT };
  try {
    const object = await client.ask((stripe) => fetch(stripe, relatedId));
    return { ...event, kind, ...subjectOf(object, prices) };
  } catch (error) {
    if (isMissing(error)) return { ...event, kind: 'other', ...NO_SUBJECT };
    throw error;
  }
}
