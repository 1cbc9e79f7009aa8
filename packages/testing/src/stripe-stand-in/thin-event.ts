import type { Books } from './books.ts';

/**
 * The thin form of an event: what it is about and where to fetch that, without the object's data. Null for an unknown event,
 * and for a type that is not sent in this form.
 *
 * @param id - the id of the thin event or of the snapshot event
 */
export function thinEvent(books: Books, id: string): Readonly<Record<string, unknown>> | null {
  const event = books.events.get(id.replace(/^evt_thin_/, 'evt_'));
  if (event === undefined) return null;
  const { object } = event.data;
  const path = PATHS.get(String(object.object));
  if (path === undefined) return null;
  return {
    id: event.id.replace(/^evt_/, 'evt_thin_'),
    object: 'v2.core.event',
    type: `v1.${event.type}`,
    created: new Date(event.created * 1_000).toISOString(),
    livemode: event.livemode,
    snapshot_event: event.id,
    related_object: {
      id: object.id,
      type: object.object,
      url: `${path}/${String(object.id)}`,
    },
  };
}

const PATHS: ReadonlyMap<string, string> = new Map([
  ['subscription', '/v1/subscriptions'],
  ['invoice', '/v1/invoices'],
  ['checkout.session', '/v1/checkout/sessions'],
  ['subscription_schedule', '/v1/subscription_schedules'],
]);
