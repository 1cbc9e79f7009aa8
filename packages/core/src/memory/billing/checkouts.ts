import type { BillingRepository, CheckoutAttempt } from '../../ports/billing-repository.ts';
import { writeAudit } from './audit.ts';
import type { Synchronous } from './synchronous.ts';
import type { TableStore } from './tables.ts';

/** The repository's methods for checkouts: one at a time per org. */
export function checkoutMethods({
  tables,
  clock,
}: TableStore): Synchronous<Pick<BillingRepository, 'claimCheckout' | 'saveCheckout' | 'closeCheckout'>> {
  const { checkouts } = tables;

  /** Whether the attempt has a page that can still be paid. */
  function hasPage({ state, sessionId, expiresAt }: CheckoutAttempt): boolean {
    return state !== 'closed' && sessionId !== null && (expiresAt === null || clock.now() < expiresAt);
  }

  return {
    claimCheckout({ org, provider, tier, id, leaseMs }) {
      const now = clock.now();
      const row = checkouts.get(org);
      const earlier = row?.attempt;
      if (row && earlier?.state === 'creating' && now < row.claimedUntil) return { outcome: 'busy' };
      const page = earlier && hasPage(earlier) ? earlier : null;
      if (page?.state === 'open' && page.provider === provider && page.tier === tier)
        return { outcome: 'open', attempt: page };
      const attempt = {
        id,
        org,
        provider,
        tier,
        state: 'creating',
        sessionId: null,
        url: null,
        expiresAt: null,
      } as const;
      // The page to expire stays on record until the caller saves. If the caller dies, the next one learns of it.
      const kept = page === null ? attempt : { ...page, id, state: 'creating' as const };
      checkouts.set(org, { attempt: kept, claimedUntil: now + leaseMs });
      return { outcome: 'claimed', attempt, replaces: page && { ...page, state: 'closed' } };
    },
    saveCheckout({ attempt, audit }) {
      const row = checkouts.get(attempt.org);
      const isClaimed = row?.attempt.state === 'creating' && clock.now() < row.claimedUntil;
      if (!isClaimed || row.attempt.id !== attempt.id) return false;
      row.attempt = attempt;
      writeAudit(tables, audit);
      return true;
    },
    closeCheckout({ org, provider, sessionId }) {
      const row = checkouts.get(org);
      const isThatPage = row?.attempt.provider === provider && row.attempt.sessionId === sessionId;
      if (isThatPage && row.attempt.state === 'open') row.attempt = { ...row.attempt, state: 'closed' };
    },
  };
}
