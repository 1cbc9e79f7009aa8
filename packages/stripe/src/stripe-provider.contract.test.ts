import {
  fakeClock,
  paymentProviderContract,
  type StandInFault,
  type StripeStandIn,
  stripeStandIn,
} from '@tollgate/testing';
import { type StripeProvider, stripeProvider } from './stripe-provider.ts';

interface Rig {
  readonly standIn: StripeStandIn;
  readonly tierOf: (price: string) => string | null;
}

const clock = fakeClock();
const rigs = new WeakMap<StripeProvider, Rig>();

function rigOf(provider: StripeProvider): Rig {
  const rig = rigs.get(provider);
  if (rig === undefined) throw new Error('Not a provider of this test.');
  return rig;
}

const FAULTS: Readonly<Record<string, StandInFault>> = {
  error: { status: 500 },
  busy: { status: 429, retryAfterSeconds: 2 },
  timeout: { timeout: true },
  lost_reply: { lostReply: true },
};

for (const downgrade of ['at_once', 'at_period_end'] as const) {
  paymentProviderContract<StripeProvider>({
    name: `stripe against the stand-in, downgrades ${downgrade}`,
    async create() {
      const standIn = await stripeStandIn({ clock });
      const prices = { pro: standIn.addPrice({ amount: 1_000 }), team: standIn.addPrice({ amount: 5_000 }) };
      const provider = stripeProvider({
        secretKey: standIn.secretKey,
        webhookSecrets: standIn.webhookSecrets,
        prices,
        successUrl: 'https://app.example.com/billing',
        apiBase: standIn.origin,
        downgrade,
        timeoutMs: 600,
        maxNetworkRetries: 0,
      });
      const tierOf = (price: string) =>
        price === prices.pro ? 'pro' : price === prices.team ? 'team' : null;
      rigs.set(provider, { standIn, tierOf });
      return provider;
    },
    tiers: { sold: ['pro', 'team'], unsold: 'enterprise' },
    cancels: downgrade,
    now: (provider) => rigOf(provider).standIn.now(),
    inspect: {
      customers: (provider, org) =>
        rigOf(provider)
          .standIn.contents()
          .customers.filter(({ metadata }) => metadata.tollgate_org === org)
          .map(({ id }) => id),
      openPages: (provider, customerId) =>
        rigOf(provider)
          .standIn.contents()
          .sessions.filter(({ customer, status }) => customer === customerId && status === 'open')
          .map(({ id }) => id),
      subscriptions(provider, customerId) {
        const { standIn, tierOf } = rigOf(provider);
        return standIn
          .contents()
          .subscriptions.filter(({ customer }) => customer === customerId)
          .map(({ id, status, items }) => ({ id, status, tier: tierOf(items[0]?.price.id ?? '') }));
      },
    },
    act: {
      pay: (provider, sessionId) => rigOf(provider).standIn.pay(sessionId),
      setStatus: (provider, subscriptionId, status) =>
        rigOf(provider).standIn.setStatus(subscriptionId, status),
      deleteCustomer: (provider, customerId) => rigOf(provider).standIn.deleteCustomer(customerId),
    },
    webhooks: {
      sent: (provider) => {
        const { standIn } = rigOf(provider);
        return standIn.events().map(({ id }) => standIn.signed(id));
      },
      sign: (provider, bytes, at) => rigOf(provider).standIn.sign(bytes, at),
      signatureHeader: 'stripe-signature',
    },
    outage: {
      set: (provider, outage) =>
        rigOf(provider).standIn.failAll(outage === null ? null : (FAULTS[outage] ?? null)),
    },
    async teardown(provider) {
      await provider.close();
      await rigOf(provider).standIn.close();
    },
  });
}
