import type { PaymentProvider } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import type { PaymentProviderHost } from '../payment-provider-host.ts';
import type { ProviderBench } from './provider-bench.ts';

/** What happens to a subscription. */
export function subscriptionContract<P extends PaymentProvider>(
  host: PaymentProviderHost<P>,
  bench: ProviderBench<P>,
): void {
  const [tier, otherTier] = host.tiers.sold;

  describe('subscriptions', () => {
    it('answers a subscription as it is now, ended ones too', async () => {
      const { customerId, subscriptionId } = await bench.subscribe();
      expect(await bench.fetched(subscriptionId)).toMatchObject({
        id: subscriptionId,
        customerId,
        tier,
        endedAt: null,
      });
      await host.act.setStatus(bench.provider, subscriptionId, 'past_due');
      expect(await bench.fetched(subscriptionId)).toMatchObject({ status: 'past_due', endedAt: null });
      await host.act.setStatus(bench.provider, subscriptionId, 'canceled');
      expect(await bench.fetched(subscriptionId)).toMatchObject({
        status: 'canceled',
        endedAt: expect.any(Number),
      });
    });

    it('lists all subscriptions of a customer, ended ones too, and nobody else’s', async () => {
      const { customerId, subscriptionId } = await bench.subscribe();
      const other = await bench.customer('globex');
      await host.act.setStatus(bench.provider, subscriptionId, 'canceled');
      const second = await host.act.pay(bench.provider, (await bench.open(customerId)).id);
      const listed = await bench.provider.listSubscriptions({ customerId });
      expect(listed.map(({ id }) => id).sort()).toEqual([subscriptionId, second].sort());
      expect(listed).toContainEqual(await bench.fetched(subscriptionId));
      expect(await bench.provider.listSubscriptions({ customerId: other })).toEqual([]);
    });

    it('answers null for a subscription it does not know', async () => {
      expect(await bench.provider.fetchSubscription({ subscriptionId: 'sub_none' })).toBeNull();
    });

    it('moves a subscription to another tier without a second one', async () => {
      const { customerId, subscriptionId } = await bench.subscribe();
      const moved = await bench.provider.changeSubscription({
        subscriptionId,
        tier: otherTier,
        idempotencyKey: bench.key(),
      });
      expect(moved).toMatchObject({ id: subscriptionId, tier: otherTier });
      expect(moved).toEqual(await bench.fetched(subscriptionId));
      expect(await host.inspect.subscriptions(bench.provider, customerId)).toMatchObject([
        { id: subscriptionId, tier: otherTier },
      ]);
    });

    it('moves a past-due subscription too', async () => {
      const { subscriptionId } = await bench.subscribe();
      await host.act.setStatus(bench.provider, subscriptionId, 'past_due');
      const moved = await bench.provider.changeSubscription({
        subscriptionId,
        tier: otherTier,
        idempotencyKey: bench.key(),
      });
      expect(moved).toMatchObject({ id: subscriptionId, tier: otherTier, endedAt: null });
    });

    it('does not bring an ended subscription back', async () => {
      const { subscriptionId } = await bench.subscribe();
      await host.act.setStatus(bench.provider, subscriptionId, 'canceled');
      const change = bench.provider.changeSubscription({
        subscriptionId,
        tier: otherTier,
        idempotencyKey: bench.key(),
      });
      await expect(change).rejects.toMatchObject({ code: 'provider_error' });
      expect(await bench.fetched(subscriptionId)).toMatchObject({ status: 'canceled', tier });
    });

    it(`ends a subscription ${host.cancels === 'at_once' ? 'at once' : 'at its period’s end'}`, async () => {
      const { subscriptionId } = await bench.subscribe();
      const before = await bench.fetched(subscriptionId);
      const ended = await bench.provider.cancelSubscription({ subscriptionId, idempotencyKey: bench.key() });
      expect(ended).toEqual(await bench.fetched(subscriptionId));
      expect(ended).toMatchObject(
        host.cancels === 'at_once'
          ? { status: 'canceled', endedAt: expect.any(Number) }
          : { status: before.status, endedAt: null, cancelsAt: before.currentPeriodEndsAt },
      );
    });

    it('leaves an ended subscription as it is when it is told to end it', async () => {
      const { subscriptionId } = await bench.subscribe();
      await host.act.setStatus(bench.provider, subscriptionId, 'canceled');
      const before = await bench.fetched(subscriptionId);
      expect(
        await bench.provider.cancelSubscription({ subscriptionId, idempotencyKey: bench.key() }),
      ).toEqual(before);
    });

    it('calls a scheduled end off when the subscription is moved', async () => {
      const { subscriptionId } = await bench.subscribe();
      await bench.provider.cancelSubscription({ subscriptionId, idempotencyKey: bench.key() });
      if ((await bench.fetched(subscriptionId)).endedAt !== null) {
        expect(host.cancels).toBe('at_once');
        return;
      }
      const moved = await bench.provider.changeSubscription({
        subscriptionId,
        tier,
        idempotencyKey: bench.key(),
      });
      expect(moved).toMatchObject({ cancelsAt: null, tier });
    });
  });
}
