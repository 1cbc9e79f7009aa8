import type { OrgViews } from '../org/org-views.ts';
import type { Wiring } from '../wiring.ts';
import { type Checkout, createCheckout } from './checkout.ts';
import { createCheckoutPage } from './checkout-page.ts';
import { createCustomers } from './customers.ts';
import { createEvents, type Events, type OnInvoice } from './events.ts';
import { createGrantPlan, type GrantPlan } from './grant-plan.ts';
import { createLinkCustomer, type LinkCustomer } from './link-customer.ts';
import { createPortal, type Portal } from './portal.ts';
import { createReconcile } from './reconcile.ts';
import { createRefresh } from './refresh.ts';
import { harmless, type OnSubscriptionChanged } from './subscription-changed.ts';
import { createSubscriptionChanges } from './subscription-changes.ts';
import { createSync, type Sync } from './sync.ts';
import { type Wait, wait as waitForReal } from './wait.ts';

/** Everything between an org and the payment provider, and the plans granted beside it. */
export interface Subscriptions {
  readonly checkout: Checkout;
  readonly portal: Portal;
  readonly webhook: Events['webhook'];
  readonly sync: Sync;
  readonly linkCustomer: LinkCustomer;
  readonly grantPlan: GrantPlan;
}

/**
 * Builds the subscription services around the one path on which a subscription of the provider is written.
 *
 * @param options.onSubscriptionChanged - called for every stored change, after it is durable: the place for host events and for
 * evaluating an org's capacity again. If the process dies in between, it is not called.
 * @param options.onInvoice - called once for each paid or failed invoice of a subscription, by the process that applied its event.
 * @param options.wait - replaces real waiting, for tests.
 */
export function createSubscriptions(
  wiring: Wiring,
  orgViews: Pick<OrgViews, 'drop'>,
  options: {
    readonly onSubscriptionChanged?: OnSubscriptionChanged;
    readonly onInvoice?: OnInvoice;
    readonly wait?: Wait;
  } = {},
): Subscriptions {
  const wait = options.wait ?? waitForReal;
  const onChanged = harmless(options.onSubscriptionChanged ?? (() => undefined), wiring.logger);
  const refresh = createRefresh(wiring, orgViews, onChanged);
  const events = createEvents(wiring, refresh, options.onInvoice ?? (() => undefined), wait);
  const reconcile = createReconcile(wiring, refresh);
  const customers = createCustomers(wiring, reconcile, async (customer) => {
    orgViews.drop(customer.org);
    await events.replay(customer);
  });
  const changes = createSubscriptionChanges(wiring, orgViews, refresh, onChanged);
  const page = createCheckoutPage(wiring, { customers, reconcile });
  const sync = createSync(wiring, { customers, reconcile, refresh, catchUp: events.catchUp }, wait);
  return {
    checkout: createCheckout(wiring, { customers, reconcile, changes, page, wait }),
    portal: createPortal(wiring, customers),
    webhook: events.webhook,
    sync,
    linkCustomer: createLinkCustomer(wiring, { customers, sync }),
    grantPlan: createGrantPlan(wiring, orgViews, onChanged),
  };
}
