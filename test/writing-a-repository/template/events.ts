import { randomUUID } from 'node:crypto';
import type { BillingRepository, CheckoutAttempt, EventKey, EventOutcome, InboxEvent } from '@tollgate/core';
import { writeAudit } from './audit.ts';
import { type HostDatabase, nameOf, sortBy } from './host-database.ts';
import { writeSubscription } from './subscriptions.ts';

interface InboxRow {
  readonly event: InboxEvent;
  readonly result: EventOutcome | null;
  /** Null: in nobody's hands. */
  readonly token: string | null;
  readonly claimedAt: number;
  readonly claimedUntil: number;
}

interface CheckoutRow {
  readonly attempt: CheckoutAttempt;
  readonly claimedUntil: number;
}

type Methods =
  | 'claimCheckout'
  | 'saveCheckout'
  | 'closeCheckout'
  | 'claimEvent'
  | 'finishEvent'
  | 'releaseEvent'
  | 'listUnmatched'
  | 'purgeEvents';

const nameOfEvent = ({ provider, livemode, id }: EventKey) => nameOf(provider, livemode, id);

/** One checkout an org, one effect an event. */
export function eventMethods({ transaction }: HostDatabase): Pick<BillingRepository, Methods> {
  return {
    // #region claim-checkout
    claimCheckout: ({ org, provider, tier, id, leaseMs }) =>
      transaction(async (tx) => {
        const now = await tx.now();
        const row = await tx.get<CheckoutRow>('checkouts', org);
        if (row?.attempt.state === 'creating' && now < row.claimedUntil) return { outcome: 'busy' };
        const earlier = row?.attempt ?? null;
        const mayBePaid = earlier?.sessionId != null && now < (earlier.expiresAt ?? Infinity);
        const page = mayBePaid && earlier.state !== 'closed' ? earlier : null;
        if (page?.state === 'open' && page.provider === provider && page.tier === tier)
          return { outcome: 'open', attempt: page };
        const attempt: CheckoutAttempt = {
          ...{ id, org, provider, tier, state: 'creating' as const },
          ...{ sessionId: null, url: null, expiresAt: null },
        };
        // The page to be ended stays on record until the caller saves: should it die, the next one is told of it.
        const kept = page === null ? attempt : { ...page, id, state: 'creating' as const };
        await tx.put('checkouts', org, { attempt: kept, claimedUntil: now + leaseMs } satisfies CheckoutRow);
        return { outcome: 'claimed', attempt, replaces: page && { ...page, state: 'closed' } };
      }),
    // #endregion
    saveCheckout: ({ attempt, audit }) =>
      transaction(async (tx) => {
        const row = await tx.get<CheckoutRow>('checkouts', attempt.org);
        const isHeld = row?.attempt.state === 'creating' && (await tx.now()) < row.claimedUntil;
        if (!isHeld || row.attempt.id !== attempt.id) return false;
        await tx.put('checkouts', attempt.org, { ...row, attempt });
        await writeAudit(tx, audit);
        return true;
      }),
    closeCheckout: ({ org, provider, sessionId }) =>
      transaction(async (tx) => {
        const row = await tx.get<CheckoutRow>('checkouts', org);
        if (row?.attempt.state !== 'open' || row.attempt.provider !== provider) return;
        if (row.attempt.sessionId !== sessionId) return;
        await tx.put('checkouts', org, { ...row, attempt: { ...row.attempt, state: 'closed' } });
      }),

    // #region claim-event
    claimEvent: ({ event, leaseMs }) =>
      transaction(async (tx) => {
        const now = await tx.now();
        const known = await tx.get<InboxRow>('inbox', nameOfEvent(event));
        const result = known?.result ?? null;
        if (result !== null && result !== 'unmatched') return { outcome: 'done', result };
        if (known !== null && known.token !== null && now < known.claimedUntil) return { outcome: 'busy' };
        const token = randomUUID();
        const claim = { token, claimedAt: now, claimedUntil: now + leaseMs };
        await tx.put('inbox', nameOfEvent(event), { event: known?.event ?? event, result, ...claim });
        return { outcome: 'claimed', token };
      }),
    // #endregion
    // #region finish-event
    finishEvent: ({ event, token, result, maxUnmatched, effect }) =>
      transaction(async (tx) => {
        const row = await tx.get<InboxRow>('inbox', nameOfEvent(event));
        if (row === null || row.token !== token || (await tx.now()) >= row.claimedUntil) return 'lost';
        // The effect and "done" are one transaction: a crash leaves both undone, and the next delivery does both.
        if (effect !== null && (await writeSubscription(tx, effect)) === 'conflict') return 'conflict';
        await tx.put('inbox', nameOfEvent(event), { ...row, result, token: null });
        if (result === 'unmatched') {
          // Bounded: whoever can make the provider send events must not be able to fill your disk.
          const unmatched = (await tx.all<InboxRow>('inbox')).filter((other) => other.result === 'unmatched');
          const newestFirst = sortBy(unmatched, (other) => other.event.id)
            .sort((a, b) => a.event.createdAt - b.event.createdAt)
            .reverse();
          for (const old of newestFirst.slice(maxUnmatched)) await tx.remove('inbox', nameOfEvent(old.event));
        }
        return 'done';
      }),
    // #endregion
    releaseEvent: ({ event, token }) =>
      transaction(async (tx) => {
        const row = await tx.get<InboxRow>('inbox', nameOfEvent(event));
        if (row?.token === token) await tx.put('inbox', nameOfEvent(event), { ...row, token: null });
      }),
    listUnmatched: ({ provider, customerId }) =>
      transaction(async (tx) => {
        const events = (await tx.all<InboxRow>('inbox'))
          .filter(({ result }) => result === 'unmatched')
          .map(({ event }) => event)
          .filter((event) => event.provider === provider && event.customerId === customerId);
        return sortBy(events, ({ id }) => id).sort((a, b) => a.createdAt - b.createdAt);
      }),
    purgeEvents: ({ before }) =>
      transaction(async (tx) => {
        const old = (await tx.all<InboxRow>('inbox')).filter(
          (row) => row.result !== null && row.claimedAt < before,
        );
        for (const { event } of old) await tx.remove('inbox', nameOfEvent(event));
        return old.length;
      }),
  };
}
