import type { Catalog } from '../catalog/catalog.ts';
import type { Tier } from '../catalog/tier.ts';
import type { Subscription } from '../ports/billing-repository.ts';
import { GRANTED_BY_HAND, isGrantOver } from './granted-plan.ts';

/** Which statuses of the payment provider grant a subscription's tier. */
export interface EntitlementRules {
  readonly grantingStatuses: ReadonlySet<string>;
  /** How long after `pastDueAt` a past-due subscription still grants its tier, ms. */
  readonly pastDueGraceMs: number;
}

/**
 * The tier that a subscription grants at `now`, or null. An unknown status, an unknown price, an ended subscription, a past-due one
 * beyond its grace period and a plan granted by hand whose time is over grant nothing.
 */
function grantedTier(
  subscription: Subscription,
  catalog: Catalog,
  rules: EntitlementRules,
  now: number,
): Tier | null {
  if (subscription.endedAt !== null || subscription.tier === null || isGrantOver(subscription, now))
    return null;
  const granted =
    // Which statuses of a payment provider grant, the host says; that of a granted plan is ours.
    (subscription.provider === GRANTED_BY_HAND && subscription.status === 'active') ||
    rules.grantingStatuses.has(subscription.status) ||
    (subscription.status === 'past_due' && now < (subscription.pastDueAt ?? now) + rules.pastDueGraceMs);
  return granted ? (catalog.tier(subscription.tier) ?? null) : null;
}

/** Statuses in which a subscription exists at the provider, and can be changed rather than bought again. */
const LIVE_STATUSES: ReadonlySet<string> = new Set(['trialing', 'active', 'past_due', 'unpaid', 'paused']);

/** Whether the subscription can be changed: at `now` it has begun and has not ended. */
export function isLive(subscription: Subscription, now: number): boolean {
  const hasEnded = subscription.endedAt !== null || isGrantOver(subscription, now);
  return !hasEnded && LIVE_STATUSES.has(subscription.status);
}

/** The combined result of an org's subscriptions. */
export interface Entitlement<S extends Subscription = Subscription> {
  readonly tier: Tier;
  readonly isDefault: boolean;
  /** The one that grants the tier, else the newest live one, else null. */
  readonly subscription: S | null;
}

/**
 * The tier an org is on: the highest that any of its subscriptions grants, else the default tier. So the end of one
 * subscription never takes away what another one grants.
 */
export function entitlementOf<S extends Subscription>(
  subscriptions: readonly S[],
  catalog: Catalog,
  rules: EntitlementRules,
  now: number,
): Entitlement<S> {
  let best: { tier: Tier; subscription: S } | null = null;
  for (const subscription of subscriptions) {
    const tier = grantedTier(subscription, catalog, rules, now);
    if (tier === null) continue;
    const isBetter =
      best === null ||
      tier.sortOrder > best.tier.sortOrder ||
      (tier.sortOrder === best.tier.sortOrder && subscription.createdAt > best.subscription.createdAt);
    if (isBetter) best = { tier, subscription };
  }
  if (best !== null) return { ...best, isDefault: false };
  const live = subscriptions.filter((one) => isLive(one, now)).sort((a, b) => b.createdAt - a.createdAt);
  return { tier: catalog.defaultTier, isDefault: true, subscription: live[0] ?? null };
}
