import { fakeClock, paymentProviderContract } from '@tollgate/testing';
import { type SandboxProvider, sandboxProvider } from './sandbox-provider.ts';

const clock = fakeClock();

for (const cancel of ['at_once', 'at_period_end'] as const) {
  paymentProviderContract<SandboxProvider>({
    name: `sandbox, cancels ${cancel}`,
    create: () => sandboxProvider({ webhookUrl: null, tiers: ['pro', 'business'], cancel, clock }),
    tiers: { sold: ['pro', 'business'], unsold: 'enterprise' },
    cancels: cancel,
    now: () => clock.now(),
    inspect: {
      customers: (sandbox, org) =>
        sandbox
          .contents()
          .customers.filter((c) => c.org === org)
          .map(({ id }) => id),
      openPages: (sandbox, customerId) =>
        sandbox
          .contents()
          .sessions.filter((s) => s.customerId === customerId && s.state === 'open')
          .map(({ id }) => id),
      subscriptions: (sandbox, customerId) =>
        sandbox.contents().subscriptions.filter((s) => s.customerId === customerId),
    },
    act: {
      pay: (sandbox, sessionId) => sandbox.confirm(sessionId).subscriptionId ?? '',
      setStatus: (sandbox, subscriptionId, status) => {
        sandbox.setStatus(subscriptionId, status);
      },
      deleteCustomer: (sandbox, customerId) => sandbox.deleteCustomer(customerId),
    },
    webhooks: {
      sent: (sandbox) => sandbox.events().map(({ id }) => sandbox.signed(id)),
      sign: (sandbox, bytes, at) => sandbox.sign(bytes, at),
      signatureHeader: 'sandbox-signature',
    },
    outage: { set: (sandbox, outage) => sandbox.setOutage(outage) },
    teardown: (sandbox) => sandbox.close(),
  });
}
