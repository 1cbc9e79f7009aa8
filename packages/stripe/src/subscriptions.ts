import { type PaymentProvider, type ProviderSubscription, TollgateError } from '@tollgate/core';
import type { Stripe } from 'stripe';
import { isMissing } from './call-stripe.ts';
import { idOf, own, present, textOf } from './own.ts';
import type { StripeClient } from './stripe-client.ts';
import type { StripeSettings } from './stripe-settings.ts';
import { itemOf, toProviderSubscription } from './to-provider-subscription.ts';

const ENDED: ReadonlySet<string> = new Set(['canceled', 'incomplete_expired']);
const WITH_SCHEDULE = { expand: ['schedule'] };

type Methods = 'fetchSubscription' | 'listSubscriptions' | 'changeSubscription' | 'cancelSubscription';

/** Subscriptions as Stripe has them, and the two changes that are made to them. */
export function createSubscriptions(
  settings: StripeSettings,
  client: StripeClient,
  hasCustomer: PaymentProvider['hasCustomer'],
): Pick<PaymentProvider, Methods> {
  const { prices, proration, downgrade } = settings;
  const read = (subscription: Stripe.Subscription) => toProviderSubscription(subscription, prices);

  async function retrieve(id: string): Promise<Stripe.Subscription> {
    return await client.ask((stripe) => stripe.subscriptions.retrieve(id, WITH_SCHEDULE));
  }

  const fetchSubscription: PaymentProvider['fetchSubscription'] = async ({ subscriptionId }) => {
    try {
      return read(await retrieve(subscriptionId));
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };

  const listSubscriptions: PaymentProvider['listSubscriptions'] = async ({ customerId }) => {
    const params = { customer: customerId, status: 'all', limit: 100, expand: ['data.schedule'] };
    try {
      return await client.ask(async (stripe) => {
        const found: ProviderSubscription[] = [];
        for await (const subscription of stripe.subscriptions.list(params)) found.push(read(subscription));
        return found;
      });
    } catch (error) {
      const isRefusal = error instanceof TollgateError && error.code === 'provider_error';
      if (!isRefusal || (await hasCustomer({ customerId }))) throw error;
      return [];
    }
  };

  /** Sends an update. For a repeated key Stripe replays its first answer, so the subscription is then fetched again. */
  async function update(
    id: string,
    params: Stripe.SubscriptionUpdateParams,
    idempotencyKey: string,
  ): Promise<Stripe.Subscription> {
    const updated = await client.ask((stripe) =>
      stripe.subscriptions.update(id, { ...params, ...WITH_SCHEDULE }, { idempotencyKey }),
    );
    return updated.lastResponse.headers['idempotent-replayed'] === 'true' ? await retrieve(id) : updated;
  }

  /** Releases a schedule and all its later changes: end and price are then the subscription's own again. */
  async function release(subscription: Stripe.Subscription, idempotencyKey: string): Promise<void> {
    const schedule = idOf(subscription.schedule);
    if (schedule === null) return;
    await client.ask((stripe) =>
      stripe.subscriptionSchedules.release(schedule, {}, { idempotencyKey: `${idempotencyKey}-release` }),
    );
  }

  const changeSubscription: PaymentProvider['changeSubscription'] = async (request) => {
    const { subscriptionId, tier, interval, quantity, idempotencyKey } = request;
    const before = await retrieve(subscriptionId);
    if (hasEnded(before)) throw refusal('The subscription has ended.');
    const current = read(before);
    const item = itemOf(before, prices);
    const stays = current.tier === tier && (interval === undefined || interval === current.interval);
    const price = stays ? idOf(own(item, 'price')) : prices.priceOf(tier, interval, current.interval);
    if (price === null) throw new TollgateError('unknown_tier');
    await release(before, idempotencyKey);
    const updated = await update(
      subscriptionId,
      {
        // The quantity is always sent: a change of price alone might not keep the seats.
        items: [
          {
            id: present(textOf(own(item, 'id')), 'item'),
            price,
            ...(own(item, 'quantity') === undefined ? {} : { quantity: quantity ?? current.quantity }),
          },
        ],
        cancel_at_period_end: false,
        proration_behavior: proration,
      },
      idempotencyKey,
    );
    if (updated.cancel_at === null || hasEnded(updated)) return read(updated);
    // `cancel_at_period_end: false` does not clear a `cancel_at` date.
    return read(await update(subscriptionId, { cancel_at: '' }, `${idempotencyKey}-stay`));
  };

  const cancelSubscription: PaymentProvider['cancelSubscription'] = async ({
    subscriptionId,
    idempotencyKey,
  }) => {
    const before = await retrieve(subscriptionId);
    if (hasEnded(before)) return read(before);
    const wasNeverPaid = before.status === 'incomplete' || read(before).isLapsedTrial === true;
    if (downgrade === 'at_once' || wasNeverPaid) return await cancelNow(subscriptionId);
    await release(before, idempotencyKey);
    return read(await update(subscriptionId, { cancel_at_period_end: true }, idempotencyKey));
  };

  async function cancelNow(id: string): Promise<ProviderSubscription> {
    try {
      return read(await client.ask((stripe) => stripe.subscriptions.cancel(id, WITH_SCHEDULE)));
    } catch (error) {
      // Somebody else may have ended it in between, which is as good.
      if (error instanceof TollgateError && error.code !== 'provider_error') throw error;
      const now = await retrieve(id);
      if (hasEnded(now)) return read(now);
      throw error;
    }
  }

  return { fetchSubscription, listSubscriptions, changeSubscription, cancelSubscription };
}

function hasEnded({ status, ended_at }: Stripe.Subscription): boolean {
  return ENDED.has(status) || ended_at !== null;
}

function refusal(reason: string): TollgateError {
  return new TollgateError('provider_error', { cause: new Error(reason) });
}
