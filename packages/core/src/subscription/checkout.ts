import { TollgateError } from '../errors/tollgate-error.ts';
import { checkActor } from '../org/check-actor.ts';
import { GRANTED_BY_HAND, isGrantOver } from '../org/granted-plan.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { CheckoutAttempt } from '../ports/billing-repository.ts';
import type { PaymentProvider, ProviderSubscription, Terms } from '../ports/payment-provider.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import { checkTerms } from './check-terms.ts';
import type { CheckoutPage } from './checkout-page.ts';
import type { Customers } from './customers.ts';
import { liveSubscriptions } from './live-subscriptions.ts';
import type { Reconcile } from './reconcile.ts';
import type { SubscriptionChanges } from './subscription-changes.ts';
import type { CheckoutResult } from './types.ts';
import type { Wait } from './wait.ts';

/** Longer than all of a checkout's calls to the provider may take. */
const LEASE_MS = 60_000;
const BUSY_POLLS = 30;
const BUSY_POLL_MS = 100;

/**
 * Moves an org to a tier: changes its live subscription, ends it (for the default tier), or opens a page to subscribe on.
 *
 * @throws TollgateError `invalid_org_id`, `invalid_request` (invalid terms or actor), `unknown_tier`, `provider_not_configured`,
 * `checkout_in_progress`, and the provider's errors.
 */
export type Checkout = (
  request: Terms & {
    readonly org: string;
    readonly tier: string;
    readonly actor: string;
  },
) => Promise<CheckoutResult>;

interface Order {
  readonly org: string;
  readonly tier: string;
  /** The default tier costs nothing: an org gets there by ending what is live. */
  readonly isDefault: boolean;
  readonly terms: Terms;
  readonly actor: string;
  readonly provider: PaymentProvider;
}

/** Creates the checkout. It changes nothing at the provider without holding the org's one checkout claim. */
export function createCheckout(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'provider' | 'clock' | 'ids' | 'logger'>,
  services: {
    readonly customers: Customers;
    readonly reconcile: Reconcile;
    readonly changes: SubscriptionChanges;
    readonly page: CheckoutPage;
    readonly wait: Wait;
  },
): Checkout {
  const { catalog, repository, clock, ids, logger } = wiring;
  const { customers, reconcile, changes, page, wait } = services;

  return async ({ org, tier, actor, interval, quantity }) => {
    checkOrgId(org, wiring.settings.orgIdPattern);
    checkActor(actor);
    const target = catalog.tier(tier);
    if (target === undefined || !target.isPublished) throw new TollgateError('unknown_tier');
    const provider = configured(wiring.provider);
    const isDefault = target.slug === catalog.defaultTier.slug;
    if (!isDefault && !provider.sells(tier)) throw new TollgateError('unknown_tier');
    const order: Order = { org, tier, isDefault, terms: checkTerms({ interval, quantity }), actor, provider };

    const customer = await customers.find(org);
    if (customer === null && isDefault) return await onDefaultTier(order);
    if (customer !== null) {
      const { live } = await reconcile(customer, actor);
      const current = settledOn(live, order);
      if (current !== null) return onSubscription(provider.name, current);
    }
    return await fulfil(order);
  };

  /** Takes the org's claim and fulfils the order, or returns the page that another caller opened for the same tier. */
  async function fulfil(order: Order): Promise<CheckoutResult> {
    const { org, tier, terms, provider, actor } = order;
    for (let polls = 0; polls < BUSY_POLLS; polls += 1) {
      const claim = await repository.claimCheckout({
        org,
        provider: provider.name,
        tier,
        id: ids.next(),
        leaseMs: LEASE_MS,
      });
      if (claim.outcome === 'claimed') return await settleOrClose(order, claim.attempt, claim.replaces);
      if (claim.outcome === 'open') {
        const reopened = await page.reopen(claim.attempt, terms, actor);
        if (reopened !== null) return reopened;
      } else {
        await wait(BUSY_POLL_MS);
      }
    }
    throw new TollgateError('checkout_in_progress', { retryAfterSeconds: 1 });
  }

  async function settleOrClose(
    order: Order,
    attempt: CheckoutAttempt,
    replaces: CheckoutAttempt | null,
  ): Promise<CheckoutResult> {
    const closed: CheckoutAttempt = { ...attempt, state: 'closed' };
    // A page of a provider that is no longer configured cannot be expired at this one.
    const old = replaces?.provider === order.provider.name ? replaces : null;
    // Until the old page has expired somebody may pay there, so it remains the org's attempt.
    let finalAttempt: CheckoutAttempt = old === null ? closed : { ...old, id: attempt.id, state: 'open' };
    const leave = async () => await repository.saveCheckout({ attempt: finalAttempt, audit: null });
    try {
      // The old page expires first. After that nobody can pay there, so the subscriptions listed next are complete.
      const oldPage = old?.sessionId ?? null;
      if (oldPage !== null) await callProvider(() => order.provider.expireCheckout({ sessionId: oldPage }));
      finalAttempt = closed;
      const result = await settle(order, attempt);
      if (result.subscription.status !== 'pending') await leave();
      return result;
    } catch (error) {
      await leave().catch(() => {
        logger.warn('A failed checkout could not be closed. Its claim ends with its lease.', {
          org: order.org,
          attempt: attempt.id,
        });
      });
      throw error;
    }
  }

  async function settle(order: Order, attempt: CheckoutAttempt): Promise<CheckoutResult> {
    const { org, isDefault, terms, actor } = order;
    const { name } = order.provider;
    const customer = isDefault ? await customers.find(org) : await customers.ensure(org);
    if (customer === null) return await onDefaultTier(order);

    const { live, unknown } = await reconcile(customer, actor);
    for (const ghost of unknown) await changes.endUnknown(ghost, actor);
    const settled = settledOn(live, order);
    if (settled !== null) return onSubscription(name, settled);

    // A move to the default tier ends everything. A move to another tier only ends what was never paid, since it could otherwise be paid
    // later, in addition to the new one.
    const remaining: ProviderSubscription[] = [];
    for (const subscription of live) {
      const ends = isDefault ? !endsInTime(subscription) : wasNeverPaid(subscription);
      remaining.push(ends ? await changes.cancel(subscription, attempt, actor) : subscription);
    }
    const current = liveSubscriptions(remaining)[0];
    if (isDefault) return current === undefined ? await onDefaultTier(order) : onSubscription(name, current);
    if (current !== undefined)
      return onSubscription(name, await changes.move(current, attempt, terms, actor));
    return (await page.open(attempt, customer, terms, actor)) ?? (await settle(order, attempt));
  }

  /**
   * The result if nothing is live at the provider: the default tier, or what no checkout can end. That is a subscription whose provider is
   * not configured here, or a plan granted by hand.
   */
  async function onDefaultTier(order: Order): Promise<CheckoutResult> {
    const { name } = order.provider;
    const { subscriptions } = await repository.loadOrg(order.org);
    const now = clock.now();
    // One that was never paid was waiting for a page that is gone with its provider.
    const others = liveSubscriptions(
      subscriptions.filter((one) => one.provider !== name && !wasNeverPaid(one) && !isGrantOver(one, now)),
    );
    const stuck = others.find(({ provider }) => provider !== GRANTED_BY_HAND);
    if (stuck !== undefined) {
      logger.warn('An org cannot leave a subscription whose provider is not configured here. It stays.', {
        org: order.org,
        provider: stuck.provider,
        subscription: stuck.id,
      });
    }
    const [other] = others;
    if (other !== undefined) return onSubscription(other.provider, other);
    const { slug } = catalog.defaultTier;
    return {
      subscription: { provider: name, externalId: 'default', tier: slug, status: 'active' },
      location: null,
    };
  }

  function onSubscription(
    provider: string,
    { id, tier, status }: Pick<ProviderSubscription, 'id' | 'tier' | 'status'>,
  ): CheckoutResult {
    return { subscription: { provider, externalId: id, tier: tier ?? '', status }, location: null };
  }
}

/** The subscription that already fulfils the order, with nothing scheduled that would change it; else null. */
function settledOn(live: readonly ProviderSubscription[], order: Order): ProviderSubscription | null {
  const current = live[0];
  if (current === undefined) return null;
  if (order.isDefault) return live.every(endsInTime) ? current : null;
  const stays = current.cancelsAt === null && current.scheduledAt === null && !wasNeverPaid(current);
  const { interval = current.interval, quantity = current.quantity } = order.terms;
  const isSame =
    current.tier === order.tier && current.interval === interval && current.quantity === quantity;
  return isSame && stays ? current : null;
}

/** Whether its end is set, with no further period paid before: in the provider's dashboard a person can set any date. */
function endsInTime({ cancelsAt, currentPeriodEndsAt }: ProviderSubscription): boolean {
  return cancelsAt !== null && (currentPeriodEndsAt === null || cancelsAt <= currentPeriodEndsAt);
}

/** Whether the first payment never came, and no change will bring it: a page was abandoned, or a trial ended without a card. */
function wasNeverPaid({
  status,
  isLapsedTrial = false,
}: Pick<ProviderSubscription, 'status' | 'isLapsedTrial'>): boolean {
  return status === 'incomplete' || isLapsedTrial;
}
