import type { Subscription } from '../ports/billing-repository.ts';

/** The provider of plans that operators grant by hand. No payment provider may have this name. */
export const GRANTED_BY_HAND = 'manual';

/**
 * When a plan granted by hand ends by time alone, epoch ms; null for never. Of a payment provider's subscription it is always null: what
 * becomes of that one at `cancelsAt`, the provider will say.
 */
export function grantEndsAt({
  provider,
  cancelsAt,
}: Pick<Subscription, 'provider' | 'cancelsAt'>): number | null {
  return provider === GRANTED_BY_HAND ? cancelsAt : null;
}

/** Whether the time of a plan granted by hand is over at `now` (epoch ms). It ends at that instant itself. */
export function isGrantOver(
  subscription: Pick<Subscription, 'provider' | 'cancelsAt'>,
  now: number,
): boolean {
  const endsAt = grantEndsAt(subscription);
  return endsAt !== null && endsAt <= now;
}
