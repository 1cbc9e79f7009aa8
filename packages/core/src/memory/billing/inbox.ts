import { randomUUID } from 'node:crypto';
import type { BillingRepository, EventKey } from '../../ports/billing-repository.ts';
import { writeSubscription } from './subscriptions.ts';
import type { Synchronous } from './synchronous.ts';
import { byTexts, type InboxRow, keyOf, type TableStore } from './tables.ts';

type InboxMethods = 'claimEvent' | 'finishEvent' | 'releaseEvent' | 'listUnmatched' | 'purgeEvents';

const byId = byTexts(({ event }: InboxRow) => [event.id]);
const byAge = (a: InboxRow, b: InboxRow) => a.event.createdAt - b.event.createdAt || byId(a, b);

/** The repository's methods for events, each of which takes effect once. */
export function inboxMethods(store: TableStore): Synchronous<Pick<BillingRepository, InboxMethods>> {
  const { tables, clock } = store;
  const { inbox } = tables;
  const nameOf = ({ provider, livemode, id }: EventKey) => keyOf(provider, livemode, id);
  const unmatched = () => [...inbox.values()].filter(({ result }) => result === 'unmatched').sort(byAge);

  return {
    claimEvent({ event, leaseMs }) {
      const now = clock.now();
      const known = inbox.get(nameOf(event));
      if (known && known.result !== null && known.result !== 'unmatched')
        return { outcome: 'done', result: known.result };
      if (known && known.token !== null && now < known.claimedUntil) return { outcome: 'busy' };
      const token = randomUUID();
      const claim = { token, claimedAt: now, claimedUntil: now + leaseMs };
      inbox.set(nameOf(event), { event: known?.event ?? event, result: known?.result ?? null, ...claim });
      return { outcome: 'claimed', token };
    },
    finishEvent({ event, token, result, maxUnmatched, effect }) {
      const row = inbox.get(nameOf(event));
      if (!row || row.token !== token || clock.now() >= row.claimedUntil) return 'lost';
      if (effect && writeSubscription(store, effect) === 'conflict') return 'conflict';
      row.result = result;
      row.token = null;
      if (result === 'unmatched') {
        const waiting = unmatched();
        const tooMany = Math.max(0, waiting.length - maxUnmatched);
        for (const oldest of waiting.slice(0, tooMany)) inbox.delete(nameOf(oldest.event));
      }
      return 'done';
    },
    releaseEvent({ event, token }) {
      const row = inbox.get(nameOf(event));
      if (row?.token === token) row.token = null;
    },
    listUnmatched: ({ provider, customerId }) =>
      unmatched()
        .map(({ event }) => event)
        .filter((event) => event.provider === provider && event.customerId === customerId),
    purgeEvents({ before }) {
      const purged = [...inbox].filter(([, { result, claimedAt }]) => result !== null && claimedAt < before);
      for (const [name] of purged) inbox.delete(name);
      return purged.length;
    },
  };
}
