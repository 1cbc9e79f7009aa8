import {
  type FakeClock,
  fakeClock,
  type StripeStandIn,
  type StripeStandInOptions,
  stripeStandIn,
} from '@tollgate/testing';
import type { StripeOptions } from './stripe-options.ts';
import { type StripeProvider, stripeProvider } from './stripe-provider.ts';

export const DAY_MS = 86_400_000;

/** A provider with a stand-in of its own and a clock that stands still. */
export interface StripeRig {
  readonly clock: FakeClock;
  readonly standIn: StripeStandIn;
  readonly provider: StripeProvider;
  readonly prices: Readonly<Record<'pro' | 'proYear' | 'proOld' | 'team', string>>;
  /** Another provider on the same stand-in. */
  another(options?: Partial<StripeOptions>): StripeProvider;
  key(): string;
  customer(org?: string): Promise<string>;
  /** Subscribes through the hosted page; returns the subscription's id. */
  subscribe(customerId: string, tier?: string): Promise<string>;
  /** The form fields of the last request to a path that matches. */
  lastRequest(path: RegExp): URLSearchParams;
  close(): Promise<void>;
}

export async function stripeRig(
  options: Partial<StripeOptions> = {},
  standInOptions: StripeStandInOptions = {},
): Promise<StripeRig> {
  const clock = fakeClock();
  const standIn = await stripeStandIn({ clock, ...standInOptions });
  const prices = {
    pro: standIn.addPrice({ amount: 1_000 }),
    proYear: standIn.addPrice({ amount: 10_000, interval: 'year' }),
    proOld: standIn.addPrice({ amount: 700 }),
    team: standIn.addPrice({ amount: 5_000 }),
  };
  const providers: StripeProvider[] = [];
  const another = (parts: Partial<StripeOptions> = {}) => {
    const made = stripeProvider({
      secretKey: standIn.secretKey,
      webhookSecrets: () => standIn.webhookSecrets,
      prices: {
        pro: { month: prices.pro, year: prices.proYear, legacy: [prices.proOld] },
        team: prices.team,
      },
      successUrl: 'https://app.example.com/billing',
      apiBase: standIn.origin,
      timeoutMs: 600,
      maxNetworkRetries: 0,
      ...parts,
    });
    providers.push(made);
    return made;
  };
  const provider = another(options);
  let keys = 0;
  const key = () => {
    keys += 1;
    return `rig-${keys}`;
  };
  return {
    clock,
    standIn,
    provider,
    prices,
    another,
    key,
    customer: async (org = 'acme') =>
      (await provider.createCustomer({ org, idempotencyKey: key() })).customerId,
    async subscribe(customerId, tier = 'pro') {
      const { id } = await provider.openCheckout({ org: 'acme', customerId, tier, idempotencyKey: key() });
      return standIn.pay(id);
    },
    lastRequest(path) {
      const found = standIn.requests().findLast((request) => path.test(`${request.method} ${request.path}`));
      return new URLSearchParams(found?.body ?? '');
    },
    async close() {
      for (const made of providers) await made.close();
      await standIn.close();
    },
  };
}
