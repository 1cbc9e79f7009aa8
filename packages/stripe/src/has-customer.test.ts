import { afterEach, describe, expect, it } from 'vitest';
import { callStripe } from './call-stripe.ts';
import { createHasCustomer } from './has-customer.ts';
import type { StripeClient } from './stripe-client.ts';
import type { StripeOptions } from './stripe-options.ts';
import { type StripeRig, stripeRig } from './stripe-rig.test-support.ts';

const rigs: StripeRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

async function rigged(options: Partial<StripeOptions> = {}): Promise<StripeRig> {
  const rig = await stripeRig(options);
  rigs.push(rig);
  return rig;
}

/** A client whose every call fails with an error of the SDK's. */
function failing(error: object): StripeClient {
  return { ask: () => callStripe(() => Promise.reject(error), 1_000), close: () => {} };
}

const MISSING = { statusCode: 404, code: 'resource_missing', type: 'StripeInvalidRequestError' };

describe('a customer', () => {
  it('that went with deleted test data is gone, and so is what it subscribed to', async () => {
    const rig = await rigged();
    const customerId = await rig.customer();
    await rig.subscribe(customerId);
    rig.standIn.wipe();
    expect(await rig.provider.hasCustomer({ customerId })).toBe(false);
    expect(await rig.provider.listSubscriptions({ customerId })).toEqual([]);
  });

  it('is gone in live mode only when Stripe says that it was deleted: the key may be another account’s', async () => {
    const rig = await rigged({ livemode: true });
    const customerId = await rig.customer();
    const strange = { customerId: 'cus_of_another_account' };
    await expect(rig.provider.hasCustomer(strange)).rejects.toMatchObject({ code: 'provider_error' });
    await expect(rig.provider.listSubscriptions(strange)).rejects.toMatchObject({ code: 'provider_error' });
    rig.standIn.deleteCustomer(customerId);
    expect(await rig.provider.hasCustomer({ customerId })).toBe(false);
    expect(await rig.provider.listSubscriptions({ customerId })).toEqual([]);
  });

  it.each(['live', 'test'])(
    'of %s mode is not taken for gone because the key is of the other',
    async (mode) => {
      const message = `No such customer: 'cus_1'; a similar object exists in ${mode} mode, but another key was used.`;
      const ask = createHasCustomer({ livemode: false }, failing({ ...MISSING, message }));
      await expect(ask({ customerId: 'cus_1' })).rejects.toMatchObject({ code: 'provider_error' });
    },
  );

  it.each([
    { ...MISSING, statusCode: 403, code: undefined },
    { ...MISSING, statusCode: 404, code: undefined },
    { ...MISSING, statusCode: 500 },
    { ...MISSING, statusCode: 401, code: undefined },
  ])('is not taken for gone on another failure: $statusCode $code', async (error) => {
    const ask = createHasCustomer({ livemode: false }, failing(error));
    await expect(ask({ customerId: 'cus_1' })).rejects.toMatchObject({ code: 'provider_error' });
  });

  it('is asked for only where Stripe refused something', async () => {
    const rig = await rigged();
    await rig.subscribe(await rig.customer());
    const asked = rig.standIn
      .requests()
      .filter(({ method, path }) => method === 'GET' && /customers/.test(path));
    expect(asked).toEqual([]);
  });
});
