import type { ProviderSubscription } from '@tollgate/core';
import { idOf, instantOf, itemsOf, own, present, textOf } from './own.ts';
import type { PriceTable } from './price-table.ts';

/**
 * Maps a Stripe subscription to the library's own, from the shape of any API version: periods on the items or on the subscription, a
 * price or a plan.
 *
 * @throws TollgateError `provider_error` for an object that is no subscription.
 */
export function toProviderSubscription(subscription: unknown, prices: PriceTable): ProviderSubscription {
  const item = itemOf(subscription, prices);
  const recurring = own(own(item, 'price'), 'recurring') ?? own(item, 'plan') ?? own(subscription, 'plan');
  const every = own(recurring, 'interval_count') ?? 1;
  const interval = every === 1 ? own(recurring, 'interval') : null;
  const periodEnd =
    instantOf(own(item, 'current_period_end')) ?? instantOf(own(subscription, 'current_period_end'));
  const next = nextPhase(own(subscription, 'schedule'), prices);
  const endsItself = own(subscription, 'cancel_at_period_end') === true ? periodEnd : null;
  return {
    id: present(textOf(own(subscription, 'id')), 'subscription id'),
    customerId: present(idOf(own(subscription, 'customer')), 'customer'),
    tier: tierOfItem(item, prices) ?? tierOfItem(subscription, prices),
    status: present(textOf(own(subscription, 'status')), 'status'),
    quantity: quantityOf(own(item, 'quantity') ?? own(subscription, 'quantity')),
    interval: interval === 'month' || interval === 'year' ? interval : null,
    createdAt: present(instantOf(own(subscription, 'created')), 'date'),
    currentPeriodEndsAt: periodEnd,
    trialEndsAt: instantOf(own(subscription, 'trial_end')),
    isLapsedTrial: isLapsedTrial(subscription, periodEnd),
    cancelsAt: instantOf(own(subscription, 'cancel_at')) ?? endsItself ?? next.endsAt,
    scheduledTier: next.tier,
    scheduledAt: next.at,
    endedAt: instantOf(own(subscription, 'ended_at')),
  };
}

/** The item that decides the tier: the first with a known price, else the first. */
export function itemOf(subscription: unknown, prices: PriceTable): unknown {
  const items = itemsOf(own(subscription, 'items'));
  return items.find((item) => tierOfItem(item, prices) !== null) ?? items[0];
}

/** The tier that an item's price or plan grants; null for an unknown one. */
export function tierOfItem(item: unknown, prices: PriceTable): string | null {
  const price = idOf(own(item, 'price')) ?? idOf(own(item, 'plan'));
  return price === null ? null : prices.tierOf(price);
}

/** Whether it is paused because its trial ended without a card. Without a reason from Stripe: whether its period ended with the trial. */
function isLapsedTrial(subscription: unknown, periodEnd: number | null): boolean {
  if (own(subscription, 'status') !== 'paused') return false;
  const paused = own(own(subscription, 'status_details'), 'paused');
  const reason = textOf(own(own(paused, 'subscription'), 'type'));
  if (reason !== null) return reason === 'trial_end_without_payment_method';
  const trialEnd = instantOf(own(subscription, 'trial_end'));
  return trialEnd !== null && periodEnd !== null && periodEnd <= trialEnd;
}

/** What follows the current phase of a schedule; nothing if the schedule was not expanded. */
function nextPhase(schedule: unknown, prices: PriceTable) {
  const none = { tier: null, at: null, endsAt: null };
  const currentEnd = own(own(schedule, 'current_phase'), 'end_date');
  if (typeof currentEnd !== 'number') return none;
  const phases = itemsOf(own(schedule, 'phases'));
  const next = phases.find((phase) => Number(own(phase, 'start_date')) >= currentEnd);
  const lastEnd = instantOf(own(phases.at(-1), 'end_date'));
  const endsAt = own(schedule, 'end_behavior') === 'cancel' ? lastEnd : null;
  if (next === undefined) return { ...none, endsAt };
  const tiers = itemsOf(own(next, 'items')).map((item) => tierOfItem(item, prices));
  return {
    tier: tiers.find((tier) => tier !== null) ?? null,
    at: instantOf(own(next, 'start_date')),
    endsAt,
  };
}

function quantityOf(value: unknown): number {
  return Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : 1;
}
