import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { capacity, metered } from './catalog/quota.ts';
import { createBilling } from './create-billing.ts';
import { TollgateError } from './errors/tollgate-error.ts';
import { memoryBillingRepository } from './memory/memory-billing-repository.ts';
import { memoryCounterStore } from './memory/memory-counter-store.ts';
import type { BillingOptions } from './options.ts';
import type { BillingRepository } from './ports/billing-repository.ts';
import type { CounterStore } from './ports/counter-store.ts';
import type { ResourceInventory } from './ports/resource-inventory.ts';
import { sandboxProvider } from './sandbox/sandbox-provider.ts';

/** Little longer than a close waits for a host. */
const CLOSED_AFTER_MS = 10_500;

/** An app on memory whose parts can be replaced, and whose counters can be away. */
function app(
  parts: {
    readonly inventory?: Partial<ResourceInventory>;
    readonly repository?: Partial<BillingRepository>;
    readonly options?: Partial<BillingOptions>;
  } = {},
) {
  const link = { isDown: false, settleMs: 0 };
  const written: string[] = [];
  const warnings: string[] = [];
  const store = memoryCounterStore();
  const counters = new Proxy(store, {
    get(target, name: keyof CounterStore) {
      const call = target[name];
      if (typeof call !== 'function' || name === 'close') return call;
      return async (asked: never) => {
        if (link.isDown) throw new TollgateError('quota_unavailable', { retryAfterSeconds: 1 });
        const answer = await (call as (asked: never) => Promise<unknown>).call(target, asked);
        if (link.settleMs > 0 && name === 'settle')
          await new Promise((resolve) => setTimeout(resolve, link.settleMs));
        return answer;
      };
    },
  });
  const memory = memoryBillingRepository();
  const replaced: Partial<BillingRepository> = {
    async saveUsage(snapshots) {
      written.push(...snapshots.map(({ org }) => org));
      await memory.saveUsage(snapshots);
    },
    ...parts.repository,
  };
  const repository = new Proxy(memory, {
    get: (target, name) => Reflect.get(Object.hasOwn(replaced, name) ? replaced : target, name),
  });
  const silent = () => undefined;
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
      count: async () => 0,
      list: async function* () {},
      find: async () => null,
      ...parts.inventory,
    },
    access: () => null,
    provider: null,
    counters,
    repository,
    logger: { debug: silent, info: silent, warn: (text) => void warnings.push(text), error: silent },
    onStoreError: 'open',
    snapshotEveryMs: 3_600_000,
    ...parts.options,
  } as BillingOptions<'devices' | 'opens'>);
  const create = async (org: string, key: 'devices' | 'opens') => {
    const admission = await billing.reserve({ org, charges: [{ key }] });
    if (admission.admitted) await admission.reservation.commit();
  };
  return { billing, repository, link, written, warnings, create };
}

/** Whether it has ended, asked after each turn of the event loop. */
function watched(promise: Promise<unknown>) {
  const state = { hasEnded: false };
  void promise.then(() => {
    state.hasEnded = true;
  });
  return state;
}

function fakeTimeouts() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

/** In small steps: what answers at once is to be heard in between. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    await vi.advanceTimersByTimeAsync(100);
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('closing', () => {
  /** An org over its capacity whose rows are listed without an end. */
  async function endlessSweep() {
    let isListing = false;
    let isOver = false;
    const made = app({
      inventory: {
        count: async () => 20,
        list: async function* () {
          isListing = true;
          for (let n = 0; !isOver; n += 1) {
            yield { id: `row-${n}`, createdAt: n, lastUsedAt: null };
            await new Promise((resolve) => setImmediate(resolve));
          }
        },
      },
      options: { lifecycle: { suspend: async () => undefined, restore: async () => undefined } },
    });
    onTestFinished(() => {
      isOver = true;
    });
    await made.repository.watchOrgs({ orgs: ['acme'] });
    made.billing.startSweeper({ everyMs: 1_000 });
    await vi.waitFor(() => expect(isListing).toBe(true), { interval: 1 });
    return made;
  }

  it('writes metered use at once, whatever a sweep under way still waits for', async () => {
    const { billing, written, create } = await endlessSweep();
    await create('globex', 'opens');
    fakeTimeouts();
    const closing = billing.close();
    await vi.waitFor(() => expect(written).toEqual(['globex']), { interval: 1 });
    await pass(CLOSED_AFTER_MS);
    await closing;
  });

  it('ends, though a host lists rows without an end', async () => {
    const { billing } = await endlessSweep();
    fakeTimeouts();
    const closing = watched(billing.close());
    await pass(CLOSED_AFTER_MS);
    expect(closing.hasEnded).toBe(true);
  });

  it('ends, though a host counts the rows of many orgs that owe slowly, and writes metered use before', async () => {
    fakeTimeouts();
    const { billing, link, written, create } = app({
      inventory: {
        count: async () => {
          await new Promise((resolve) => setTimeout(resolve, 4_000));
          return 0;
        },
      },
    });
    await create('globex', 'opens');
    link.isDown = true;
    for (let n = 0; n < 100; n += 1) await create(`org-${n}`, 'devices');
    link.isDown = false;
    const closing = watched(billing.close());
    await vi.waitFor(() => expect(written).toEqual(['globex']), { interval: 1 });
    await pass(CLOSED_AFTER_MS);
    expect(closing.hasEnded).toBe(true);
  });

  it('ends, though there is much to purge and the database is slow', async () => {
    let steps = 0;
    let now = 0;
    const { billing, written, create } = app({
      repository: {
        purgeUsage: async () => {
          steps += 1;
          now += 4_900;
          return 10_000;
        },
      },
    });
    await create('acme', 'opens');
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    onTestFinished(() => void vi.restoreAllMocks());
    await billing.close();
    expect(written).toEqual(['acme']);
    expect(steps).toBeGreaterThan(0);
    expect(now).toBeLessThan(CLOSED_AFTER_MS + 5_000);
  });

  it('writes what is used while it waits for a sweep, too', async () => {
    const { billing, written, create } = await endlessSweep();
    fakeTimeouts();
    const closing = billing.close();
    await pass(1_000);
    await create('late', 'opens');
    await pass(CLOSED_AFTER_MS);
    await closing;
    expect(written).toEqual(['late']);
  });

  it('writes what was being settled when it began, whatever a sweep under way still waits for', async () => {
    const { billing, link, written, create } = await endlessSweep();
    fakeTimeouts();
    link.settleMs = 500;
    void create('acme', 'opens');
    await pass(100);
    const closing = billing.close();
    await pass(1_000);
    expect(written).toEqual(['acme']);
    await pass(CLOSED_AFTER_MS);
    await closing;
  });

  it('writes what an outage let through as soon as it is paid, whatever a sweep under way still waits for', async () => {
    const { billing, link, written, create } = await endlessSweep();
    fakeTimeouts();
    link.isDown = true;
    await create('acme', 'opens');
    link.isDown = false;
    const closing = billing.close();
    await pass(1_000);
    expect(written).toEqual(['acme']);
    await pass(CLOSED_AFTER_MS);
    await closing;
  });

  it('tells of a threshold that was reached before it closes the repository, where that is being written', async () => {
    let written = () => {};
    let isClosed = false;
    const { billing, create } = app({
      repository: {
        moveCrossing: () =>
          new Promise((resolve) => {
            written = () => resolve(0);
          }),
        close: async () => {
          isClosed = true;
        },
      },
    });
    const told: number[] = [];
    billing.on('usage.threshold', ({ threshold }) => void told.push(threshold));
    for (let n = 0; n < 8; n += 1) await create('acme', 'opens');
    const closing = billing.close();
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    written();
    await closing;
    expect(told).toEqual([80]);
  });

  it('writes what is used while it purges, too', async () => {
    const { billing, written, create } = app({
      repository: {
        purgeUsage: async () => {
          await create('late', 'opens');
          return 0;
        },
      },
    });
    await create('acme', 'opens');
    await billing.close();
    expect(written).toEqual(['acme', 'late']);
  });

  it('ends, however long a database has not answered what was to be written', async () => {
    fakeTimeouts();
    const { billing, create } = app({
      repository: {
        saveUsage: async () => {
          await new Promise((resolve) => setTimeout(resolve, 5_000));
          throw new TollgateError('repository_unavailable');
        },
      },
      options: { snapshotEveryMs: 1_000 },
    });
    for (let second = 0; second < 30; second += 1) {
      await create(`org-${second}`, 'opens');
      await pass(1_000);
    }
    const closing = watched(billing.close());
    // One that is under way, one that waits for its turn, and the last.
    await pass(CLOSED_AFTER_MS + 10_000);
    expect(closing.hasEnded).toBe(true);
  });

  describe('ends, and lets go of all, though it never hears of', () => {
    const never = () => new Promise<never>(() => undefined);
    /** Little longer than it takes at most. */
    const CLOSED_AT_LAST_MS = 25_500;

    it.each(['saveUsage', 'purgeUsage', 'moveCrossing', 'loadUsage', 'loadOrg'] as const)(
      'the repository’s %s',
      async (call) => {
        fakeTimeouts();
        const isClosed = { repository: false };
        const { billing, link, create } = app({
          repository: {
            [call]: never,
            close: async () => {
              isClosed.repository = true;
            },
          },
        });
        void create('acme', 'opens');
        for (let n = 0; n < 10; n += 1) void create('globex', 'opens');
        await pass(100);
        link.isDown = true;
        void create('initech', 'opens');
        await pass(100);
        link.isDown = false;
        const closing = watched(billing.close());
        await pass(CLOSED_AT_LAST_MS);
        expect(closing.hasEnded).toBe(true);
        expect(isClosed.repository).toBe(true);
      },
    );

    it.each(['read', 'settle', 'renew', 'adjust'] as const)('the counter store’s %s', async (call) => {
      fakeTimeouts();
      const counters = memoryCounterStore();
      const { billing, create } = app({ options: { counters: { ...counters, [call]: never } } });
      await Promise.race([create('acme', 'opens'), pass(200)]);
      const closing = watched(billing.close());
      await pass(CLOSED_AT_LAST_MS);
      expect(closing.hasEnded).toBe(true);
    });

    it.each(['count', 'list', 'find'] as const)('the host’s %s', async (call) => {
      fakeTimeouts();
      const { billing, link, create } = app({ inventory: { [call]: never } });
      link.isDown = true;
      await create('acme', 'devices');
      link.isDown = false;
      void create('globex', 'devices');
      void billing.degradation('globex').catch(() => undefined);
      const closing = watched(billing.close());
      await pass(CLOSED_AT_LAST_MS);
      expect(closing.hasEnded).toBe(true);
    });
  });

  describe.each(['counters', 'provider', 'repository'] as const)('lets go of all, though %s', (part) => {
    /** An engine one of whose parts closes in its own way; tells which parts were asked to close. */
    function closingParts(close: () => Promise<void>) {
      const closed: string[] = [];
      const closes = (name: string) => async () => {
        closed.push(name);
        if (name === part) await close();
      };
      const { billing } = app({
        repository: { close: closes('repository') },
        options: {
          counters: { ...memoryCounterStore(), close: closes('counters') },
          provider: { ...sandboxProvider({ webhookUrl: null }), close: closes('provider') },
        },
      });
      return { billing, closed };
    }

    it('never says that it has closed', async () => {
      fakeTimeouts();
      const { billing, closed } = closingParts(() => new Promise(() => undefined));
      const closing = watched(billing.close());
      await pass(28_500);
      expect(closing.hasEnded).toBe(true);
      expect(closed).toEqual(['counters', 'provider', 'repository']);
    });

    it('fails to close, and says so', async () => {
      const { billing, closed } = closingParts(() => Promise.reject(new Error('no')));
      await expect(billing.close()).rejects.toThrow('no');
      expect(closed).toEqual(['counters', 'provider', 'repository']);
    });
  });

  it('waits for no settle that was asked for after it began, and pays what is owed, while creates go on', async () => {
    fakeTimeouts();
    let hasCounted = false;
    const { billing, link, create } = app({
      inventory: {
        count: async () => {
          hasCounted = true;
          return 0;
        },
      },
    });
    link.isDown = true;
    await create('globex', 'devices');
    link.isDown = false;
    link.settleMs = 300;
    void create('acme', 'opens');
    await pass(100);
    const closing = watched(billing.close());
    for (let passed = 0; passed < 2_000 && !closing.hasEnded; passed += 100) {
      void create(`org-${passed}`, 'opens');
      await pass(100);
    }
    expect(closing.hasEnded).toBe(true);
    expect(hasCounted).toBe(true);
    await pass(1_000);
  });

  it('pays what is owed before it purges, however much there is to purge', async () => {
    let now = 0;
    let paidAt: number | undefined;
    const { billing, link, written, create } = app({
      inventory: {
        count: async () => {
          paidAt = now;
          return 0;
        },
      },
      repository: {
        purgeUsage: async () => {
          now += 4_900;
          return 10_000;
        },
      },
    });
    await create('acme', 'opens');
    link.isDown = true;
    await create('globex', 'devices');
    link.isDown = false;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    onTestFinished(() => void vi.restoreAllMocks());
    await billing.close();
    expect(written).toEqual(['acme']);
    expect(paidAt).toBe(0);
    expect(now).toBeLessThan(CLOSED_AFTER_MS + 5_000);
  });

  it('ends, though a counter store is very slow to answer a settle, writes metered use before, and leaves nothing behind that goes on', async () => {
    fakeTimeouts();
    const { billing, link, written, warnings, create } = app({ options: { snapshotEveryMs: 60_000 } });
    await create('globex', 'opens');
    link.settleMs = 30_000;
    void create('acme', 'opens');
    await pass(100);
    const closing = watched(billing.close());
    await vi.waitFor(() => expect(written).toEqual(['globex']), { interval: 1 });
    await pass(CLOSED_AFTER_MS);
    expect(closing.hasEnded).toBe(true);
    await pass(30_000);
    expect(vi.getTimerCount()).toBe(0);
    expect(warnings).toEqual([]);
  });
});
