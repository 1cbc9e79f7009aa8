import { TollgateError } from '../errors/tollgate-error.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { Customer } from '../ports/billing-repository.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import type { Customers } from './customers.ts';
import type { Events } from './events.ts';
import { checkProviderId } from './provider-id.ts';
import type { Reconcile } from './reconcile.ts';
import type { Refresh } from './refresh.ts';
import { differs } from './subscription-changed.ts';
import { createSyncAll } from './sync-all.ts';
import type { SyncRequest, SyncResult } from './types.ts';
import type { Wait } from './wait.ts';

const ACTOR = 'system';
const NOTHING: SyncResult = { checked: 0, changed: 0, unknown: 0, failed: 0 };

/**
 * Updates stored subscriptions from the provider, however many events were lost.
 *
 * @throws TollgateError `invalid_org_id`, `invalid_request` (an invalid id or instant), the provider's errors and
 * `repository_unavailable`. For `'all'` the failure of one org is counted and logged instead, and the others go on. Those that were
 * not fetched because nothing replied any more count as failed.
 */
export type Sync = (request: SyncRequest) => Promise<SyncResult>;

export function createSync(
  wiring: Pick<Wiring, 'settings' | 'repository' | 'provider' | 'logger'>,
  services: {
    readonly customers: Customers;
    readonly reconcile: Reconcile;
    readonly refresh: Refresh;
    readonly catchUp: Events['catchUp'];
  },
  wait: Wait,
): Sync {
  const { repository, logger } = wiring;
  const { customers, reconcile, refresh, catchUp } = services;

  async function syncCustomer(customer: Customer): Promise<SyncResult> {
    const { org } = customer;
    const { live, checked, changed, unknown } = await reconcile(customer, ACTOR);
    const plans = live.filter(({ tier, status }) => tier !== null && status !== 'incomplete');
    if (plans.length > 1) {
      logger.warn(
        'An org may pay twice: it has several live subscriptions. End all but one at the provider.',
        {
          org,
          provider: customer.provider,
          subscriptions: plans.map(({ id }) => id),
        },
      );
    }
    for (const { id, provider } of unknown) {
      logger.warn('The provider does not know a subscription that is stored as live.', {
        org,
        provider,
        subscription: id,
      });
    }
    return { checked, changed, unknown: unknown.length, failed: 0 };
  }

  const syncAll = createSyncAll(wiring, syncCustomer, wait);

  async function syncSubscription(subscriptionId: string): Promise<SyncResult> {
    const result = await refresh({ subscriptionId, actor: ACTOR, customer: null });
    switch (result.outcome) {
      case 'saved':
        return { ...NOTHING, checked: 1, changed: differs(result.before, result.after) ? 1 : 0 };
      case 'unknown_subscription':
        return { ...NOTHING, checked: 1, unknown: 1 };
      case 'unknown_customer':
        logger.warn('The customer of a subscription is linked to no org here. It is not stored.', {
          subscription: subscriptionId,
          customer: result.customerId,
        });
        return { ...NOTHING, checked: 1, failed: 1 };
      default:
        return { ...NOTHING, checked: 1, failed: 1 };
    }
  }

  async function syncSession(sessionId: string): Promise<SyncResult> {
    const provider = configured(wiring.provider);
    const session = await callProvider(() => provider.fetchCheckout({ sessionId }));
    if (session === null) return { ...NOTHING, checked: 1, unknown: 1 };
    if (session.state !== 'open') {
      const customer = await repository.findCustomer({
        provider: provider.name,
        customerId: session.customerId,
      });
      if (customer !== null)
        await repository.closeCheckout({ org: customer.org, provider: provider.name, sessionId });
    }
    return session.subscriptionId === null
      ? { ...NOTHING, checked: 1 }
      : await syncSubscription(session.subscriptionId);
  }

  return async (request) => {
    if (request === 'all') return await syncAll();
    if ('subscription' in request) return await syncSubscription(checkProviderId(request.subscription));
    if ('eventsSince' in request)
      return (await catchUp(checkInstant(request.eventsSince))) ?? (await syncAll());
    if ('checkoutSession' in request) return await syncSession(checkProviderId(request.checkoutSession));
    const customer = await customers.find(checkOrgId(request.org, wiring.settings.orgIdPattern));
    return customer === null ? NOTHING : await syncCustomer(customer);
  };
}

function checkInstant(since: unknown): number {
  if (typeof since === 'number' && Number.isFinite(since)) return since;
  throw new TollgateError('invalid_request', { message: '`eventsSince` must be an instant in epoch ms.' });
}
