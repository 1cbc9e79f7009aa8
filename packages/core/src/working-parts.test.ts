import { describe, expect, it, vi } from 'vitest';
import type { Billing } from './billing-interface.ts';
import { capacity, metered } from './catalog/quota.ts';
import { createBilling } from './create-billing.ts';
import { memoryBillingRepository } from './memory/memory-billing-repository.ts';
import { memoryCounterStore } from './memory/memory-counter-store.ts';

const stores = () => ({ counters: memoryCounterStore(), repository: memoryBillingRepository() });

const engine = (parts: ReturnType<typeof stores>, create = createBilling) =>
  create({
    quotas: { devices: capacity(), scans: metered({ periods: ['day'] }) },
    tiers: [
      {
        slug: 'free',
        name: 'Free',
        isDefaultForPersonal: true,
        sortOrder: 1,
        limits: { devices: 9, scans: 9 },
      },
    ],
    inventory: { count: async () => 0, async *list() {}, find: async () => null },
    access: () => null,
    provider: null,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    ...parts,
  }) as Billing;

async function scan(billing: Billing): Promise<void> {
  const admission = await billing.reserve({ org: 'acme', charges: [{ key: 'scans' }] });
  if (!admission.admitted) throw new Error('There was no room.');
  await admission.reservation.commit();
}

describe('of two engines on the same stores', () => {
  it('one goes on when the other is closed, once or twice, and writes its metered use when it is closed itself', async () => {
    const parts = stores();
    const [old, billing] = [engine(parts), engine(parts)];
    await scan(billing);
    await old.close();
    await old.close();
    await scan(billing);
    expect(await billing.plan('acme')).toMatchObject({ tier: 'free' });
    await billing.close();
    expect([...parts.repository.contents().usage.values()].map(({ key, used }) => [key, used])).toEqual([
      ['scans', 2],
    ]);
  });

  it('one goes on when another is closed that a second installed copy of this package made', async () => {
    const parts = stores();
    const billing = engine(parts);
    vi.resetModules();
    const copy = await import('./create-billing.ts');
    expect(copy.createBilling).not.toBe(createBilling);
    await engine(parts, copy.createBilling).close();
    await scan(billing);
    await billing.close();
    await expect(parts.repository.loadOrg('acme')).rejects.toMatchObject({ code: 'repository_unavailable' });
  });

  it('neither loses metered use where both are closed at once', async () => {
    const parts = stores();
    const engines = [engine(parts), engine(parts)];
    for (const billing of engines) await scan(billing);
    await Promise.all(engines.map((billing) => billing.close()));
    expect([...parts.repository.contents().usage.values()].map(({ used }) => used)).toEqual([2]);
  });

  it('the last one that is closed closes the stores', async () => {
    const parts = stores();
    const [one, other] = [engine(parts), engine(parts)];
    await one.close();
    await other.close();
    const gone = { org: 'acme', counters: [{ key: 'devices', window: 'lifetime' }] };
    await expect(parts.counters.read(gone)).rejects.toMatchObject({ code: 'quota_unavailable' });
    await expect(parts.repository.loadOrg('acme')).rejects.toMatchObject({ code: 'repository_unavailable' });
  });
});
