import { TollgateError } from '../errors/tollgate-error.ts';
import type { CheckoutAttempt, Customer } from '../ports/billing-repository.ts';
import type { Terms } from '../ports/payment-provider.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import type { Customers } from './customers.ts';
import { idempotencyKey } from './idempotency-key.ts';
import { checkPageUrl } from './page-url.ts';
import type { Reconcile } from './reconcile.ts';
import type { CheckoutResult } from './types.ts';

/** The provider's hosted page for an org's one checkout. */
export interface CheckoutPage {
  /**
   * Opens a page for a claimed attempt and saves the attempt as open. If the customer is gone, the page is for another one, linked
   * in its place; null if that one turns out to have a subscription.
   *
   * @throws TollgateError `provider_error` for a page on a foreign origin, `checkout_in_progress` if the claim was lost meanwhile;
   * in both cases the page is expired.
   */
  open(
    attempt: CheckoutAttempt,
    customer: Customer,
    terms: Terms,
    actor: string,
  ): Promise<CheckoutResult | null>;
  /**
   * Returns the page of an open attempt if the org's customer can still pay there, on these terms, and nothing was bought meanwhile.
   * Otherwise ends the page and the attempt, and returns null.
   */
  reopen(attempt: CheckoutAttempt, terms: Terms, actor: string): Promise<CheckoutResult | null>;
}

export function createCheckoutPage(
  wiring: Pick<Wiring, 'repository' | 'provider' | 'clock' | 'logger'>,
  services: { readonly customers: Customers; readonly reconcile: Reconcile },
): CheckoutPage {
  const { repository, clock, logger } = wiring;

  async function open(
    attempt: CheckoutAttempt,
    customer: Customer,
    terms: Terms,
    actor: string,
  ): Promise<CheckoutResult | null> {
    const provider = configured(wiring.provider);
    const { org, tier } = attempt;
    const session = await services.customers.serve(customer, async (payer) => {
      // The provider may have made the other one before: what it bought then was forgotten with a restored backup.
      if (payer !== customer && (await services.reconcile(payer, actor)).live.length > 0) return null;
      const { customerId } = payer;
      const key = idempotencyKey('checkout', org, tier, attempt.id, customerId);
      const { subscriptions } = await repository.loadOrg(org);
      const hadTrial = subscriptions.some(({ trialEndsAt }) => trialEndsAt !== null);
      const request = { ...terms, org, customerId, tier, hadTrial, idempotencyKey: key };
      return await callProvider(() => provider.openCheckout(request));
    });
    if (session === null) return null;
    try {
      const url = session.url === null ? null : checkPageUrl(session.url, provider.pageOrigins);
      const saved = await repository.saveCheckout({
        attempt: { ...attempt, state: 'open', sessionId: session.id, url, expiresAt: session.expiresAt },
        audit: {
          at: clock.now(),
          org,
          actor,
          action: 'checkout.started',
          subject: session.id,
          before: null,
          after: { provider: provider.name, tier },
        },
      });
      // Another caller holds the claim by now and may have opened a page: this one has to go.
      if (!saved) throw new TollgateError('checkout_in_progress', { retryAfterSeconds: 1 });
      return pending(provider.name, tier, session.id, url);
    } catch (error) {
      await provider.expireCheckout({ sessionId: session.id }).catch(() => {
        const facts = { org, session: session.id };
        logger.warn('A page that nobody will be sent to could not be ended.', facts);
      });
      throw error;
    }
  }

  async function reopen(
    attempt: CheckoutAttempt,
    terms: Terms,
    actor: string,
  ): Promise<CheckoutResult | null> {
    const provider = configured(wiring.provider);
    const { org, tier, sessionId } = attempt;
    if (sessionId === null) return null;
    const session = await callProvider(() => provider.fetchCheckout({ sessionId }));
    if (session?.state === 'open') {
      const customer = await services.customers.ensure(org);
      const { live } = await services.reconcile(customer, actor);
      const isTheirs =
        session.customerId === customer.customerId && !(await services.customers.isGone(customer));
      if (live.length === 0 && session.url !== null && isTheirs && isOn(session, terms)) {
        return pending(provider.name, tier, session.id, checkPageUrl(session.url, provider.pageOrigins));
      }
      await callProvider(() => provider.expireCheckout({ sessionId }));
    }
    await repository.closeCheckout({ org, provider: provider.name, sessionId });
    return null;
  }

  return { open, reopen };
}

/** Whether a page sells on the requested terms; terms that the page does not state are taken to match. */
function isOn(page: Terms, asked: Terms): boolean {
  const { interval = asked.interval, quantity = asked.quantity } = page;
  return (asked.interval ?? interval) === interval && (asked.quantity ?? quantity) === quantity;
}

function pending(provider: string, tier: string, sessionId: string, location: string | null): CheckoutResult {
  return { subscription: { provider, externalId: sessionId, tier, status: 'pending' }, location };
}
