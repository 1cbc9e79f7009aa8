import { type ProviderEvent, TollgateError } from '@tollgate/core';
import { kindOf } from './event-kinds.ts';
import { idOf, instantOf, own, textOf } from './own.ts';
import type { PriceTable } from './price-table.ts';
import { itemOf, tierOfItem } from './to-provider-subscription.ts';

type Subject = Pick<ProviderEvent, 'customerId' | 'subscriptionId' | 'status' | 'tier' | 'checkoutSessionId'>;

export const NO_SUBJECT: Subject = {
  customerId: null,
  subscriptionId: null,
  status: null,
  tier: null,
  checkoutSessionId: null,
};

/**
 * Maps a snapshot event, of any API version, to a hint of what changed.
 *
 * @throws TollgateError `invalid_event` for an object that is no event.
 */
export function toProviderEvent(event: unknown, prices: PriceTable): ProviderEvent {
  const id = textOf(own(event, 'id'));
  const type = textOf(own(event, 'type'));
  const createdAt = instantOf(own(event, 'created'));
  const livemode = own(event, 'livemode');
  const object = own(own(event, 'data'), 'object');
  if (own(event, 'object') !== 'event' || id === null || type === null)
    throw new TollgateError('invalid_event');
  if (createdAt === null || typeof livemode !== 'boolean' || typeof object !== 'object' || object === null)
    throw new TollgateError('invalid_event');
  return { id, type, kind: kindOf(type), livemode, createdAt, ...subjectOf(object, prices) };
}

/** The customer, subscription and checkout that an API object is about. */
export function subjectOf(object: unknown, prices: PriceTable): Subject {
  const customerId = idOf(own(object, 'customer'));
  switch (own(object, 'object')) {
    case 'subscription':
      return {
        ...NO_SUBJECT,
        customerId,
        subscriptionId: textOf(own(object, 'id')),
        status: textOf(own(object, 'status')),
        tier: tierOfItem(itemOf(object, prices), prices) ?? tierOfItem(object, prices),
      };
    case 'invoice': {
      const details = own(own(object, 'parent'), 'subscription_details');
      const subscriptionId = idOf(own(object, 'subscription')) ?? idOf(own(details, 'subscription'));
      return { ...NO_SUBJECT, customerId, subscriptionId };
    }
    case 'subscription_schedule': {
      const subscriptionId = idOf(own(object, 'subscription')) ?? idOf(own(object, 'released_subscription'));
      return { ...NO_SUBJECT, customerId, subscriptionId };
    }
    case 'checkout.session':
      // The host's own page for a single payment is none of ours.
      if (own(object, 'mode') !== 'subscription') return NO_SUBJECT;
      return {
        ...NO_SUBJECT,
        customerId,
        subscriptionId: idOf(own(object, 'subscription')),
        checkoutSessionId: textOf(own(object, 'id')),
      };
    default:
      return NO_SUBJECT;
  }
}
