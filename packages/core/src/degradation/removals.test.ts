import { fakeClock } from '@tollgate/testing';
import { expect, it, onTestFinished } from 'vitest';
import { capacity } from '../catalog/quota.ts';
import { createBilling } from '../create-billing.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { memoryBillingRepository } from '../memory/memory-billing-repository.ts';
import { sandboxProvider } from '../sandbox/sandbox-provider.ts';
import { DAY, HOUR, testHost, testLifecycle } from './lifecycle.test-support.ts';

/** An org with two devices too many, whose removal is due at the next sweep; its provider, of which no webhook arrives. */
async function aboutToRemove() {
  const clock = fakeClock();
  const host = testHost();
  for (let n = 1; n <= 5; n += 1) host.add('acme', 'devices', `d${n}`, clock.now() + n);
  const { lifecycle, calls, off } = testLifecycle({ host });
  const sandbox = sandboxProvider({ webhookUrl: null, clock });
  const state = { isAway: false, asked: 0 };
  const { listSubscriptions } = sandbox;
  const logs: string[] = [];
  const billing = createBilling({
    quotas: { devices: capacity() },
    tiers: [
      { slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits: { devices: 3 } },
      { slug: 'pro', name: 'Pro', sortOrder: 2, limits: { devices: 50 } },
    ],
    inventory: host.inventory,
    access: () => null,
    provider: {
      ...sandbox,
      listSubscriptions: async (request) => {
        state.asked += 1;
        if (state.isAway) throw new TollgateError('provider_timeout');
        return await listSubscriptions(request);
      },
    },
    repository: memoryBillingRepository({ clock }),
    lifecycle,
    clock,
    logger: { debug() {}, info() {}, warn: (message) => void logs.push(message), error() {} },
  });
  onTestFinished(() => billing.close());
  const { customerId } = await sandbox.createCustomer({ org: 'acme', idempotencyKey: 'acme' });
  await billing.linkCustomer({ org: 'acme', customerId });
  await billing.degradation('acme');
  for (const wait of [14 * DAY, 2 * HOUR, 14 * DAY]) {
    clock.advance(wait);
    await billing.sweep();
  }
  clock.advance(2 * HOUR);
  state.asked = 0;
  return {
    billing,
    clock,
    calls,
    off,
    state,
    logs,
    rows: () => host.rowsOf('acme', 'devices').map(({ id }) => id),
    /** The customer buys, which nobody tells the engine. */
    async pay() {
      const order = { org: 'acme', customerId, tier: 'pro', idempotencyKey: 'order' };
      sandbox.confirm((await sandbox.openCheckout(order)).id);
    },
  };
}

it('a row of an org that has paid is not removed, though no event has told so: its rows come back', async () => {
  const { billing, calls, off, rows, pay, state } = await aboutToRemove();
  expect([...off]).toEqual(['acme/devices/d5', 'acme/devices/d4']);
  await pay();
  expect(await billing.sweep()).toMatchObject({ removed: 0, restored: 2 });
  expect(rows()).toEqual(['d1', 'd2', 'd3', 'd4', 'd5']);
  expect([...off]).toEqual([]);
  expect(calls.filter((call) => call.startsWith('remove'))).toEqual([]);
  expect(state.asked).toBe(1);
});

it('no row is removed while the provider cannot be asked, and all that are due by the next sweep that can', async () => {
  const { billing, clock, rows, state, logs } = await aboutToRemove();
  state.isAway = true;
  expect(await billing.sweep()).toMatchObject({ removed: 0, failed: 2 });
  // Once, however many rows are due: a provider that is away takes its whole time-out for each answer.
  expect(state.asked).toBe(1);
  expect(rows()).toHaveLength(5);
  expect(logs).toContain('An org could not be synced before a removal. The next sweep tries again.');
  state.isAway = false;
  state.asked = 0;
  clock.advance(1);
  expect(await billing.sweep()).toMatchObject({ removed: 2, failed: 0 });
  expect(rows()).toEqual(['d1', 'd2', 'd3']);
  expect(state.asked).toBe(1);
});
