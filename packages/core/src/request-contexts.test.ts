import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it, vi } from 'vitest';
import { capacity, metered } from './catalog/quota.ts';
import { createBilling } from './create-billing.ts';
import { TollgateError } from './errors/tollgate-error.ts';
import { memoryBillingRepository } from './memory/memory-billing-repository.ts';
import { memoryCounterStore } from './memory/memory-counter-store.ts';
import type { CounterStore } from './ports/counter-store.ts';
import type { Admission } from './quota/types.ts';

/** As a host has it: whose request this is, for its log and for the tenant its queries are held to. */
const request = new AsyncLocalStorage<string>();
const during = <T>(org: string, work: () => T) => request.run(org, work);

/** An app on memory that writes down whose request its parts are called in. */
function app() {
  const heard: { readonly what: string; readonly of: string | undefined }[] = [];
  const hear = (what: string) => heard.push({ what, of: request.getStore() });
  const link = { isDown: false };
  const store = memoryCounterStore();
  const counters = new Proxy(store, {
    get(target, name: keyof CounterStore) {
      const call = target[name];
      if (typeof call !== 'function' || name === 'close') return call;
      return async (asked: never) => {
        if (link.isDown) throw new TollgateError('quota_unavailable', { retryAfterSeconds: 1 });
        return await (call as (asked: never) => Promise<unknown>).call(target, asked);
      };
    },
  });
  const memory = memoryBillingRepository();
  const repository = new Proxy(memory, {
    get(target, name: keyof typeof memory) {
      const call = target[name];
      if (name !== 'saveUsage' && name !== 'purgeUsage') return call;
      return (asked: never) => {
        hear(name);
        return (call as (asked: never) => unknown).call(target, asked);
      };
    },
  });
  const billing = createBilling({
    quotas: { devices: capacity(), opens: metered({ periods: ['day'] }) },
    tiers: [
      {
        slug: 'free',
        name: 'Free',
        isDefaultForPersonal: true,
        sortOrder: 1,
        limits: { devices: 10, opens: { day: 10 } },
      },
    ],
    inventory: {
      count: async ({ org }) => {
        hear(`rows of ${org}`);
        return 0;
      },
      list: async function* () {},
      find: async () => null,
    },
    access: () => null,
    provider: null,
    counters,
    repository,
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: (text) => void hear(text),
      error: (text) => void hear(text),
    },
    onStoreError: 'open',
    leaseMs: 1_000,
    snapshotEveryMs: 100,
  });
  const create = (org: string, key: 'devices' | 'opens') =>
    during(org, async () => {
      await held(await billing.reserve({ org, charges: [{ key }] })).commit();
    });
  return { billing, heard, link, create };
}

function held(admission: Admission) {
  if (!admission.admitted) throw new Error('It was not admitted.');
  return admission.reservation;
}

describe('a host’s callbacks', () => {
  it('are in no request where another org’s outage is counted behind one', async () => {
    const { billing, heard, link, create } = app();
    link.isDown = true;
    await create('acme', 'devices');
    link.isDown = false;
    heard.length = 0;
    await create('globex', 'opens');
    await vi.waitFor(() => expect(heard).toContainEqual(expect.objectContaining({ what: 'rows of acme' })));
    expect(heard).not.toContainEqual({ what: 'rows of acme', of: 'globex' });
    await billing.close();
  });

  it('are in no request where an org is looked at because an operator changed its limits', async () => {
    const { billing, heard, create } = app();
    await create('acme', 'devices');
    heard.length = 0;
    const override = {
      subjectType: 'org',
      subjectId: 'acme',
      key: 'devices',
      limit: 0,
      actor: 'ada',
    } as const;
    await during('operator', () => billing.setOverride(override));
    await vi.waitFor(() => expect(heard).toContainEqual(expect.objectContaining({ what: 'rows of acme' })));
    expect(new Set(heard.map(({ of }) => of))).toEqual(new Set([undefined]));
    await billing.close();
  });

  it('are in no request where a sweeper looks at orgs, wherever it was started', async () => {
    const { billing, heard, create } = app();
    await create('acme', 'devices');
    await billing.setOverride({
      subjectType: 'org',
      subjectId: 'acme',
      key: 'devices',
      limit: 1,
      actor: 'ada',
    });
    heard.length = 0;
    during('globex', () => billing.startSweeper({ everyMs: 10 }));
    await vi.waitFor(() => expect(heard.length).toBeGreaterThan(0));
    expect(new Set(heard.map(({ of }) => of))).toEqual(new Set([undefined]));
    await billing.close();
  });

  it('are in no request where metered use of many orgs is written behind', async () => {
    const { billing, heard, create } = app();
    await create('acme', 'opens');
    await create('globex', 'opens');
    // Of real timers: fake ones keep no context.
    await vi.waitFor(() => expect(heard.map(({ what }) => what)).toContain('purgeUsage'), 5_000);
    expect(heard).toEqual([
      { what: 'saveUsage', of: undefined },
      { what: 'purgeUsage', of: undefined },
    ]);
    await billing.close();
  });

  it('are in no request where the leases of many orgs are renewed', async () => {
    const { billing, heard, link } = app();
    for (const org of ['acme', 'globex']) {
      await during(org, async () =>
        held(await billing.reserve({ org, charges: [{ key: 'opens' }] })).keepAlive(),
      );
    }
    link.isDown = true;
    await vi.waitFor(() => expect(heard.length).toBeGreaterThan(0), 5_000);
    expect(heard[0]).toEqual({
      what: expect.stringContaining('leases could not be renewed'),
      of: undefined,
    });
    link.isDown = false;
    await billing.close();
  });
});
