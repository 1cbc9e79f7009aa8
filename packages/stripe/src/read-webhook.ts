import type { PaymentProvider } from '@tollgate/core';
import { own, textOf } from './own.ts';
import { parseEventBytes } from './parse-event-bytes.ts';
import type { StripeClient } from './stripe-client.ts';
import type { StripeSettings } from './stripe-settings.ts';
import { fetchThinEvent, isThin, thinNames } from './thin-event.ts';
import { toProviderEvent } from './to-provider-event.ts';
import { SIGNATURE_HEADER, verifySignature } from './verify-signature.ts';

/** Reads webhooks: verifies, then parses, then checks account and mode. Only a thin event calls the API. */
export function createReadWebhook(
  settings: StripeSettings,
  client: StripeClient,
): PaymentProvider['readWebhook'] {
  return async ({ bytes, header, now }) => {
    const secrets = settings.webhookSecrets();
    verifySignature({ secrets, bytes, header: header(SIGNATURE_HEADER), now });
    const event = parseEventBytes(bytes);
    const names = isThin(event) ? thinNames(event) : toProviderEvent(event, settings.prices);
    if (!isOurs(event, names.livemode, settings)) return [];
    return ['relatedId' in names ? await fetchThinEvent(names, client, settings.prices) : names];
  };
}

/**
 * Whether an event is of the configured mode and account. One of a connected account is ours only if we act for that account.
 *
 * @param standard - the account of an event that names none; null for the key's own account
 */
export function isOurs(
  event: unknown,
  livemode: boolean,
  settings: Pick<StripeSettings, 'livemode' | 'client'>,
  standard: string | null = null,
): boolean {
  if (livemode !== settings.livemode) return false;
  const account = textOf(own(event, 'account')) ?? textOf(own(event, 'context')) ?? standard;
  return account === settings.client.account;
}
