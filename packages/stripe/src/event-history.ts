import type { EventHistory, ProviderEvent } from '@tollgate/core';
import { EVENT_TYPES } from './event-kinds.ts';
import { isOurs } from './read-webhook.ts';
import type { StripeClient } from './stripe-client.ts';
import type { StripeSettings } from './stripe-settings.ts';
import { toProviderEvent } from './to-provider-event.ts';

/** The events that Stripe keeps for thirty days, to find those that were never delivered. */
export function createEventHistory(settings: StripeSettings, client: StripeClient): EventHistory {
  return {
    async listEvents({ since }) {
      const found: ProviderEvent[] = [];
      let last: string | undefined;
      do {
        const params = {
          types: [...EVENT_TYPES],
          created: { gte: Math.floor(since / 1_000) },
          limit: 100,
          ...(last === undefined ? {} : { starting_after: last }),
        };
        // One call per page: however many there are, each has the time-out of one request.
        const page = await client.ask((stripe) => stripe.events.list(params));
        for (const listed of page.data) {
          const event = toProviderEvent(listed, settings.prices);
          // The list is the account's own, so an event that names no account belongs to it.
          if (isOurs(listed, event.livemode, settings, settings.client.account)) found.push(event);
        }
        last = page.has_more ? page.data.at(-1)?.id : undefined;
      } while (last !== undefined);
      return found.reverse();
    },
  };
}
