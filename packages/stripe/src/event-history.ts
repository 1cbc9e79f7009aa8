import type { EventHistory, ProviderEvent } from '@tollgate/core';
import { EVENT_TYPES } from './event-kinds.ts';
import { isOurs } from './read-webhook.ts';
import type { StripeClient } from './stripe-client.ts';
import type { StripeSettings } from './stripe-settings.ts';
import { toProviderEvent } from './to-provider-event.ts';

const MAX_EVENTS = 10_000;

/** The events Stripe keeps for thirty days, for finding those that never came. */
export function createEventHistory(settings: StripeSettings, client: StripeClient): EventHistory {
  return {
    async listEvents({ since }) {
      return await client.ask(async (stripe) => {
        const found: ProviderEvent[] = [];
        const params = {
          types: [...EVENT_TYPES],
          created: { gte: Math.floor(since / 1_000) },
          limit: 100,
        };
        for await (const listed of stripe.events.list(params)) {
          const event = toProviderEvent(listed, settings.prices);
          if (isOurs(listed, event.livemode, settings)) found.push(event);
          if (found.length === MAX_EVENTS) break;
        }
        return found.reverse();
      });
    },
  };
}
