import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Customer, EventClaim, EventOutcome, InboxEvent } from '../ports/billing-repository.ts';
import type { PaymentProvider, ProviderEvent } from '../ports/payment-provider.ts';
import { createPurge } from '../purge.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import { createPatience } from './patience.ts';
import type { Refresh, SaveState } from './refresh.ts';
import type { SyncResult, WebhookResult } from './types.ts';
import type { Wait } from './wait.ts';

/** Longer than provider and repository may take to reply, so that the claim of a live caller does not expire. */
const LEASE_MS = 60_000;
const BUSY_POLLS = 20;
const BUSY_POLL_MS = 100;
/** How many events of unlinked customers are kept, over all customers. */
const MAX_UNMATCHED = 10_000;

/** Applies the provider's events. */
export interface Events {
  /**
   * Verifies a delivery and applies its events, each once.
   *
   * @throws TollgateError `unknown_provider`, and what the provider's `readWebhook` throws, before anything has changed;
   * `event_in_progress` and any failure of provider or repository, after which the provider must deliver again.
   */
  webhook(request: {
    readonly provider: string;
    readonly bytes: Uint8Array;
    readonly header: (name: string) => string | undefined;
  }): Promise<WebhookResult>;
  /**
   * Applies the provider's events since an instant (epoch ms) that never arrived, oldest first. One that fails is counted and logged, and
   * the others go on. Once nothing replies any more, the rest count as failed. Null if the provider keeps no record of its events.
   */
  catchUp(since: number): Promise<SyncResult | null>;
  /** Applies the events that waited for the customer to be linked. Failures are logged; those events go on waiting. */
  replay(customer: Customer): Promise<void>;
}

/** The part of an event that is acted on. */
type Hint = InboxEvent & Pick<ProviderEvent, 'checkoutSessionId' | 'kind'>;

/** Called once with an invoice's outcome, after its event is done. */
export type OnInvoice = (invoice: {
  readonly kind: 'invoice_paid' | 'invoice_failed';
  readonly org: string;
  readonly provider: string;
  readonly subscriptionId: string;
}) => void;

/** `misplaced` is kept like `unmatched`, but linking a customer will not resolve it. */
type Applied = EventOutcome | 'misplaced';

/** The webhook's inbox: an event is a hint, its subscription is fetched, and "done" is written together with the effect. */
export function createEvents(
  wiring: Pick<Wiring, 'repository' | 'provider' | 'clock' | 'logger' | 'telemetry'>,
  refresh: Refresh,
  onInvoice: OnInvoice,
  wait: Wait,
): Events {
  const { repository, logger } = wiring;
  // Done events are kept for longer than any provider redelivers. One that arrives even later only costs another fetch.
  const purgeSometimes = createPurge(
    wiring,
    (request) => repository.purgeEvents(request),
    'Old events could not be purged; it is tried again.',
  );

  async function webhook(request: Parameters<Events['webhook']>[0]): Promise<WebhookResult> {
    const { provider } = wiring;
    if (provider === null || provider.name !== request.provider) throw new TollgateError('unknown_provider');
    const events = await read(provider, request);
    const outcomes: WebhookResult['outcome'][] = [];
    if (events.length === 0)
      wiring.telemetry.count('tollgate.webhook.events', 1, { outcome: 'ignored', kind: 'other' });
    for (const event of events) outcomes.push(await doEvent(provider.name, event));
    void purgeSometimes();
    return { provider: provider.name, events, outcome: overall(outcomes) };
  }

  /** The events of a delivery. A refused one is counted and logged, since a wrong secret or clock shows nowhere else. */
  async function read(
    provider: PaymentProvider,
    { bytes, header }: Parameters<Events['webhook']>[0],
  ): Promise<readonly ProviderEvent[]> {
    try {
      return await callProvider(() => provider.readWebhook({ bytes, header, now: wiring.clock.now() }));
    } catch (error) {
      const code = error instanceof TollgateError ? error.code : 'internal_error';
      wiring.telemetry.count('tollgate.webhook.refused', 1, { code });
      if (code === 'invalid_signature') {
        warnSometimes(
          logger,
          'Webhook deliveries are refused. If the provider sent them, the secret or the clock of this machine is wrong.',
          { provider: provider.name, code },
        );
      }
      throw error;
    }
  }

  async function doEvent(provider: string, event: ProviderEvent): Promise<EventOutcome | 'duplicate'> {
    const hint = hintOf(provider, event);
    const outcome = isForUs(event)
      ? await doOnce(hint)
      : await once(hint, (token) => finish(hint, token, 'ignored'));
    wiring.telemetry.count('tollgate.webhook.events', 1, { outcome, kind: event.kind });
    return outcome;
  }

  async function catchUp(since: number): Promise<SyncResult | null> {
    const provider = configured(wiring.provider);
    const { history } = provider;
    if (history === null) return null;
    const events = await callProvider(() => history.listEvents({ since }));
    const count = { applied: 0, unmatched: 0, failed: 0, ignored: 0, duplicate: 0 };
    const patience = createPatience(provider, wait);
    for (const event of events) {
      if (!isForUs(event)) continue;
      if (patience.isOver) {
        count.failed += 1;
        continue;
      }
      try {
        count[await patience.ask(() => doEvent(provider.name, event))] += 1;
      } catch (error) {
        logger.warn('A missed event could not be done. The next sync tries again.', {
          event: event.id,
          ...describeFailure(error),
        });
        count.failed += 1;
      }
    }
    const { applied, unmatched, failed } = count;
    return { checked: events.length, changed: applied, unknown: unmatched, failed };
  }

  async function replay(customer: Customer): Promise<void> {
    const waiting = await repository.listUnmatched({
      provider: customer.provider,
      customerId: customer.customerId,
    });
    for (const event of waiting) {
      try {
        await doOnce({ ...event, checkoutSessionId: null, kind: 'other' });
      } catch (error) {
        logger.warn('An event that waited for its customer could not be done yet.', {
          org: customer.org,
          event: event.id,
          ...describeFailure(error),
        });
      }
    }
  }

  async function doOnce(hint: Hint): Promise<EventOutcome | 'duplicate'> {
    const outcome = await once(hint, (token) => apply(hint, token));
    if (outcome === 'misplaced') return 'unmatched';
    if (outcome !== 'unmatched' || hint.customerId === null) return outcome;
    // A customer linked between the lookup and the storing of the event would never replay it: so look again.
    const linked = await repository.findCustomer({ provider: hint.provider, customerId: hint.customerId });
    if (linked === null) return outcome;
    const second = await once(hint, (token) => apply(hint, token));
    return second === 'misplaced' ? 'unmatched' : second;
  }

  /** Claims the event and works on it. If that fails, releases the claim, so that the next delivery need not wait. */
  async function once<T extends Applied>(
    hint: Hint,
    work: (token: string) => Promise<T>,
  ): Promise<T | 'duplicate'> {
    const claim = await claimed(hint);
    if (claim.outcome === 'done') return 'duplicate';
    try {
      return await work(claim.token);
    } catch (error) {
      await repository.releaseEvent({ event: keyOf(hint), token: claim.token }).catch((cause: unknown) => {
        logger.warn('The claim of a failed event could not be given back. It ends with its lease.', {
          event: hint.id,
          ...describeFailure(cause),
        });
      });
      throw error;
    }
  }

  async function claimed(hint: Hint): Promise<Exclude<EventClaim, { outcome: 'busy' }>> {
    const { checkoutSessionId: _, kind: __, ...event } = hint;
    for (let polls = 0; ; polls += 1) {
      const claim = await repository.claimEvent({ event, leaseMs: LEASE_MS });
      if (claim.outcome !== 'busy') return claim;
      if (polls === BUSY_POLLS)
        throw inProgress(
          hint,
          'is claimed by another delivery, or by a process that died less than a minute ago',
        );
      await wait(BUSY_POLL_MS);
    }
  }

  async function apply(hint: Hint, token: string): Promise<Applied> {
    const { provider, customerId, subscriptionId, checkoutSessionId } = hint;
    const customer = customerId === null ? null : await repository.findCustomer({ provider, customerId });
    if (customerId !== null && customer === null) return await finish(hint, token, 'unmatched');
    if (checkoutSessionId !== null && customer !== null) {
      await repository.closeCheckout({ org: customer.org, provider, sessionId: checkoutSessionId });
    }
    if (subscriptionId === null)
      return await finish(hint, token, checkoutSessionId === null ? 'ignored' : 'applied');

    const save: SaveState = async (effect) => {
      const result = await repository.finishEvent({
        event: keyOf(hint),
        token,
        result: 'applied',
        maxUnmatched: MAX_UNMATCHED,
        effect,
      });
      return result === 'done' ? 'saved' : result;
    };
    const refreshed = await refresh({ subscriptionId, customer, actor: `provider:${provider}`, save });
    switch (refreshed.outcome) {
      case 'saved':
        if (hint.kind === 'invoice_paid' || hint.kind === 'invoice_failed')
          onInvoice({ kind: hint.kind, org: refreshed.after.org, provider, subscriptionId });
        return 'applied';
      case 'unknown_subscription':
        // With another account's key the provider knows nothing, and a done event would never come again: so it must be sure of the
        // customer. If it throws, the event is left to its redelivery.
        if (customer !== null) await callProvider(() => configured(wiring.provider).hasCustomer(customer));
        logger.warn('An event names a subscription that the provider does not know.', {
          org: customer?.org ?? null,
          subscription: subscriptionId,
          event: hint.id,
          type: hint.type,
        });
        return await finish(hint, token, 'ignored');
      case 'unknown_customer':
        return await finish(hint, token, 'unmatched');
      case 'mismatch':
        await finish(hint, token, 'unmatched');
        return 'misplaced';
      case 'lost':
        throw inProgress(hint, LOST);
      case 'contended':
        throw inProgress(hint, 'has a subscription that changes faster than it can be stored');
    }
  }

  async function finish<R extends EventOutcome>(hint: Hint, token: string, result: R): Promise<R> {
    const finished = await repository.finishEvent({
      event: keyOf(hint),
      token,
      result,
      maxUnmatched: MAX_UNMATCHED,
      effect: null,
    });
    if (finished !== 'done') throw inProgress(hint, LOST);
    return result;
  }

  return { webhook, catchUp, replay };
}

const LOST = 'took longer than its claim, and another delivery has taken it over';

function inProgress({ id, type }: Hint, why: string): TollgateError {
  const cause = new Error(`The event ${id} (${type}) ${why}.`);
  return new TollgateError('event_in_progress', { cause, retryAfterSeconds: 1 });
}

function isForUs(event: ProviderEvent): boolean {
  return event.kind !== 'other' || event.checkoutSessionId !== null;
}

function hintOf(provider: string, event: ProviderEvent): Hint {
  const { id, type, kind, livemode, customerId, subscriptionId, checkoutSessionId, createdAt } = event;
  return { provider, livemode, id, type, kind, customerId, subscriptionId, checkoutSessionId, createdAt };
}

function keyOf({ provider, livemode, id }: Hint) {
  return { provider, livemode, id };
}

/** The outcome of a delivery: the most that happened to any of its events. */
function overall(outcomes: readonly WebhookResult['outcome'][]): WebhookResult['outcome'] {
  if (outcomes.length > 0 && outcomes.every((outcome) => outcome === 'duplicate')) return 'duplicate';
  if (outcomes.includes('applied')) return 'applied';
  return outcomes.includes('unmatched') ? 'unmatched' : 'ignored';
}
