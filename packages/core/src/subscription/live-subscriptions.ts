import type { Subscription } from '../ports/billing-repository.ts';
import { hasEnded } from './next-subscription.ts';

const RANK: Readonly<Record<string, number>> = {
  active: 0,
  trialing: 1,
  past_due: 2,
  unpaid: 3,
  paused: 4,
  incomplete: 6,
};
const RANK_OF_UNKNOWN = 5;

/**
 * Subscriptions that have not ended, the one to act on first: those with a tier before those without (which sell something else),
 * paid before unpaid before unfinished, then the oldest, then by id.
 * Tollgate never creates two for one org, but a person in the provider's dashboard can.
 */
export function liveSubscriptions<
  S extends Pick<Subscription, 'id' | 'tier' | 'status' | 'createdAt' | 'endedAt'>,
>(subscriptions: readonly S[]): readonly S[] {
  return subscriptions
    .filter((subscription) => !hasEnded(subscription))
    .sort(
      (a, b) =>
        Number(a.tier === null) - Number(b.tier === null) ||
        rank(a.status) - rank(b.status) ||
        a.createdAt - b.createdAt ||
        (a.id < b.id ? -1 : 1),
    );
}

function rank(status: string): number {
  return Object.hasOwn(RANK, status) ? (RANK[status] ?? RANK_OF_UNKNOWN) : RANK_OF_UNKNOWN;
}
