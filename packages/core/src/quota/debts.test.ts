import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import { memoryCounterStore } from '../memory/memory-counter-store.ts';
import type { BillingOptions } from '../options.ts';
import type { CounterStore, SettleOutcome } from '../ports/counter-store.ts';
import { gateOn, gateOnMemory } from './gate.test-support.ts';
import { settleUnawaited } from './reservation-handle.ts';
import type { Admission, OnStoreError, ReservationHandle } from './types.ts';

const DEVICES = { key: 'devices', window: 'lifetime' };
const OPENS = { key: 'door_opens', window: 'day:2026-04-09' };
const unavailable = expect.objectContaining({ code: 'quota_unavailable' });

function held(admission: Admission): ReservationHandle {
  if (!admission.admitted) throw new Error('It was not admitted.');
  return admission.reservation;
}

/** A gate whose store goes away, loses the replies to what it did, and comes back empty, as told. */
function scene(options: Partial<BillingOptions> = {}) {
  const link = {
    state: 'up' as 'up' | 'down' | 'replies are lost' | 'payments are lost',
    asked: [] as string[],
    /** What is called instead of the store's own. */
    instead: {} as Partial<CounterStore>,
  };
  let store: CounterStore;
  const wrap = (first: CounterStore) => {
    store = first;
    return new Proxy(first, {
      get(_first, name: keyof CounterStore) {
        const call = link.instead[name] ?? store[name];
        if (typeof call !== 'function' || name === 'close') return call;
        return async (request: never) => {
          link.asked.push(name);
          const away = new TollgateError('quota_unavailable', { retryAfterSeconds: 1 });
          if (link.state === 'down') throw away;
          const answer = await (call as (request: never) => Promise<unknown>)(request);
          if (link.state === 'replies are lost') throw away;
          if (link.state === 'payments are lost' && name === 'adjust') throw away;
          return answer;
        };
      },
    });
  };
  const made = gateOnMemory(options, wrap);
  const { gate, rows, clock } = made;
  const reserve = (key: string, onStoreError: OnStoreError = 'closed') =>
    gate.reserve({ org: 'acme', charges: [{ key }], onStoreError });
  return {
    ...made,
    link,
    reserve,
    /** A create from its admission to its commit. */
    async create(key: string, onStoreError: OnStoreError = 'closed') {
      const reservation = held(await reserve(key, onStoreError));
      if (key !== 'door_opens') rows.set(`acme/${key}`, (rows.get(`acme/${key}`) ?? 0) + 1);
      await reservation.commit();
    },
    async read(counter: { key: string; window: string }) {
      const [reading] = await store.read({ org: 'acme', counters: [counter] });
      return reading && { committed: reading.committed, held: reading.held, uncertain: reading.uncertain };
    },
    loseEverything() {
      store = memoryCounterStore({ clock });
    },
  };
}

describe('what an outage let through', () => {
  it.each(['replies are lost', 'payments are lost'] as const)(
    'is counted once when %s, within a day, with what was let through after it (F13, Q3)',
    async (lost) => {
      const { create, reserve, read, link, clock } = scene({ idempotencyMs: 1 });
      await create('door_opens');
      link.state = 'down';
      await create('door_opens', 'open');
      link.state = lost;
      await expect(reserve('devices')).rejects.toEqual(unavailable);
      await expect(reserve('devices')).rejects.toEqual(unavailable);
      link.state = 'down';
      await create('door_opens', 'open');
      link.state = lost;
      await expect(reserve('devices')).rejects.toEqual(unavailable);
      clock.at += 86_399_999;
      link.state = 'up';
      await create('devices');
      expect(await read(OPENS)).toMatchObject({ committed: 3 });
      await create('devices');
      expect(await read(OPENS)).toMatchObject({ committed: 3 });
    },
  );

  it('is owed up to 10,000 counters, which the metrics say beyond it, and again when it was paid', async () => {
    const made = scene();
    const { gate, create, read, link, wiring } = made;
    const uncounted: number[] = [];
    wiring.telemetry = { count: (name, by) => void (name === 'tollgate.uncounted' && uncounted.push(by)) };
    const owing = gateOn(wiring);
    const session = (id: string, amount = 1) => ({
      key: 'video_session_duration_seconds',
      session: id,
      amount,
    });
    const letThrough = async (charges: { key: string }[]) =>
      held(await owing.reserve({ org: 'acme', charges, onStoreError: 'open' })).commit();
    link.state = 'down';
    for (let n = 0; n < 2; n++) await letThrough([{ key: 'door_opens' }]);
    for (let from = 0; from < 9_998; from += 1_000) {
      const many = Array.from({ length: Math.min(1_000, 9_998 - from) }, (_, n) => session(`s${from + n}`));
      await letThrough(many);
    }
    expect(uncounted).toEqual([]);
    await letThrough([session('one-too-many', 3)]);
    await letThrough([{ key: 'door_opens' }]);
    expect(uncounted).toEqual([3]);
    link.state = 'up';
    await owing.close();
    expect(await read(OPENS)).toMatchObject({ committed: 3 });
    link.state = 'down';
    await letThrough([session('one-more', 3)]);
    expect(uncounted).toEqual([3]);
    link.state = 'up';
    await create('zones');
    await gate.close();
  });

  it('of thousands of sessions is counted a bounded number at a time, each once, whatever reply is lost', async () => {
    const { gate, counters, link } = scene();
    const key = 'video_session_duration_seconds';
    const refs = Array.from({ length: 1_000 }, (_, n) => ({ key, window: `session:s${n}` }));
    link.state = 'down';
    for (let n = 0; n < 1_000; n++) {
      const charges = [{ key, session: `s${n}` }];
      await held(await gate.reserve({ org: 'acme', charges, onStoreError: 'open' })).commit();
    }
    link.state = 'up';
    const { adjust, read, beginRecount } = counters;
    let beginning = 0;
    let most = 0;
    let adjusts = 0;
    link.instead.read = async (request) => {
      most = Math.max(most, request.counters.length);
      return await read(request);
    };
    link.instead.beginRecount = async (request) => {
      beginning += 1;
      most = Math.max(most, beginning);
      await new Promise((resolve) => setImmediate(resolve));
      beginning -= 1;
      return await beginRecount(request);
    };
    link.instead.adjust = async (request) => {
      most = Math.max(most, request.adjustments.length);
      adjusts += 1;
      const answer = await adjust(request);
      if (adjusts % 7 === 0) throw new TollgateError('quota_unavailable', { retryAfterSeconds: 1 });
      return answer;
    };
    for (let n = 0; n < 10; n++) await gate.close();
    link.instead = {};
    expect(await counters.read({ org: 'acme', counters: refs })).toMatchObject(
      refs.map(() => ({ committed: 1 })),
    );
    expect(most).toBeLessThanOrEqual(100);
  });

  it('is counted when the engine closes, also where its org came to owe while others paid', async () => {
    const { gate, counters, read, link, wiring } = scene();
    const letThrough = async (org: string) => {
      link.state = 'down';
      const charges = [{ key: 'door_opens' }];
      await held(await gate.reserve({ org, charges, onStoreError: 'open' })).commit();
      link.state = 'up';
    };
    await letThrough('globex');
    const { adjust } = counters;
    let answer = () => {};
    const isAnswered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const isAsked = new Promise<void>((resolve) => {
      wiring.counters.adjust = async (request) => {
        if (request.org !== 'globex') return adjust(request);
        resolve();
        await isAnswered;
        return adjust(request);
      };
    });
    await held(await gate.reserve({ org: 'initech', charges: [{ key: 'zones' }] })).release();
    await isAsked;
    await letThrough('acme');
    const closing = gate.close();
    answer();
    await closing;
    expect(await read(OPENS)).toMatchObject({ committed: 1 });
  });

  it('of other orgs is counted in the background, as soon as the store has answered one', async () => {
    const { gate, create, counters, link } = scene();
    link.state = 'down';
    const charges = [{ key: 'door_opens' }];
    await held(await gate.reserve({ org: 'globex', charges, onStoreError: 'open' })).commit();
    link.state = 'up';
    await create('zones');
    const owed = () => counters.read({ org: 'globex', counters: [OPENS] });
    await vi.waitFor(async () => expect(await owed()).toMatchObject([{ committed: 1 }]), { interval: 1 });
  });

  it('is in the usage report, which is answered also where it cannot be paid', async () => {
    const { gate, create, link } = scene();
    const opens = async () =>
      (await gate.usage.report('acme')).items.find(({ key }) => key === 'door_opens')?.current;
    await create('door_opens');
    link.state = 'down';
    await create('door_opens', 'open');
    link.state = 'up';
    link.instead = { adjust: () => Promise.reject(new TollgateError('quota_unavailable')) };
    expect(await opens()).toBe(1);
    link.instead = {};
    expect(await opens()).toBe(2);
  });

  it('is paid before the first create of the org is decided, once for all that ask together (Q1)', async () => {
    const { create, reserve, link } = scene();
    await create('devices');
    link.state = 'down';
    await create('devices', 'open');
    await create('devices', 'recount');
    link.state = 'up';
    link.asked.length = 0;
    const answers = await Promise.all(Array.from({ length: 20 }, () => reserve('devices')));
    expect(answers.filter(({ admitted }) => admitted)).toEqual([]);
    expect(link.asked.filter((name) => name === 'adjust')).toHaveLength(1);
  });

  it('is counted before units of it are given back, which else would find none to take', async () => {
    const { gate, link, create, read } = scene();
    await create('door_opens');
    link.state = 'down';
    await create('door_opens', 'open');
    await create('door_opens', 'open');
    link.state = 'up';
    await gate.release({ org: 'acme', key: 'door_opens', amount: 3 });
    await gate.usage.report('acme');
    expect(await read(OPENS)).toEqual({ committed: 0, held: 0, uncertain: 0 });
  });

  it('stays owed while it cannot be paid, and creates follow their own policy until it is', async () => {
    const { create, reserve, link } = scene();
    await create('devices');
    link.state = 'down';
    await create('devices', 'open');
    link.state = 'up';
    link.instead = { adjust: () => Promise.reject(new TollgateError('quota_unavailable')) };
    await expect(reserve('devices')).rejects.toEqual(unavailable);
    expect(await reserve('devices', 'open')).toMatchObject({ admitted: true, decidedBy: 'open' });
    expect(await reserve('devices', 'recount')).toMatchObject({ admitted: true, decidedBy: 'recount' });
    link.instead = {};
    await create('devices');
    expect((await reserve('devices')).admitted).toBe(false);
  });

  it('is not asked to be paid again and again of a store that is away', async () => {
    const { gate, create, reserve, link } = scene();
    // All is paid: the store answers as yet.
    await gate.close();
    link.state = 'down';
    for (let n = 0; n < 10; n++) await create('door_opens', 'open');
    for (let n = 0; n < 10; n++) await expect(reserve('devices')).rejects.toEqual(unavailable);
    expect(link.asked).not.toContain('adjust');
  });

  it('is not told to a store that has gone away again, which may keep for later what it is told: it is asked first', async () => {
    const { gate, reserve, link } = scene();
    link.state = 'down';
    for (const org of ['globex', 'initech', 'umbrella']) {
      const charges = [{ key: 'door_opens' }];
      await held(await gate.reserve({ org, charges, onStoreError: 'open' })).commit();
    }
    link.state = 'up';
    link.instead.adjust = () => {
      link.state = 'down';
      return Promise.reject(new TollgateError('quota_unavailable'));
    };
    await reserve('devices');
    const told = () => link.asked.filter((name) => name === 'adjust' || name === 'read');
    await vi.waitFor(() => expect(told()).toEqual(['adjust', 'read', 'read']), { interval: 1 });
  });

  it('of other orgs is counted when the engine closes, though one cannot be paid (Q1)', async () => {
    const { gate, counters, read, link, wiring } = scene();
    link.state = 'down';
    const charges = [{ key: 'door_opens' }];
    for (const org of ['unwritable', 'acme'])
      await held(await gate.reserve({ org, charges, onStoreError: 'open' })).commit();
    link.state = 'up';
    const { adjust } = counters;
    wiring.counters.adjust = (request) =>
      request.org === 'acme' ? adjust(request) : Promise.reject(new TollgateError('quota_unavailable'));
    await gate.close();
    expect(await read(OPENS)).toMatchObject({ committed: 1 });
  });

  it('of other orgs is counted at the next try where one is behind three that cannot be paid', async () => {
    const { gate, counters, link, wiring } = scene();
    link.state = 'down';
    const charges = [{ key: 'door_opens' }];
    const orgs = ['no-1', 'no-2', 'first', 'no-3', 'no-4', 'no-5', 'last'];
    for (const org of orgs) await held(await gate.reserve({ org, charges, onStoreError: 'open' })).commit();
    link.state = 'up';
    const { adjust } = counters;
    const tried: string[] = [];
    wiring.counters.adjust = (request) => {
      if (!request.org.startsWith('no-')) return adjust(request);
      tried.push(request.org);
      return Promise.reject(new TollgateError('quota_unavailable'));
    };
    const isCounted = async (org: string) => (await counters.read({ org, counters: [OPENS] }))[0] !== null;
    await gate.close();
    expect([await isCounted('first'), await isCounted('last')]).toEqual([true, false]);
    expect(tried).toEqual(['no-1', 'no-2', 'no-3', 'no-4', 'no-5']);
    await gate.close();
    expect(await isCounted('last')).toBe(true);
  });

  it('is counted in all its periods where even the limits could not be read', async () => {
    const { create, read, wiring } = scene();
    const { loadOrg } = wiring.repository;
    wiring.repository.loadOrg = () => Promise.reject(new TollgateError('repository_unavailable'));
    await create('door_opens', 'open');
    await create('devices', 'open');
    wiring.repository.loadOrg = loadOrg;
    await create('zones');
    expect(await read(OPENS)).toMatchObject({ committed: 1 });
    expect(await read({ key: 'door_opens', window: 'month:2026-04' })).toMatchObject({ committed: 1 });
    expect(await read(DEVICES)).toMatchObject({ committed: 1 });
  });

  it('is counted by the rows alone when the store comes back empty', async () => {
    const { create, read, link, loseEverything } = scene();
    await create('devices');
    link.state = 'down';
    await create('devices', 'recount');
    link.state = 'up';
    loseEverything();
    await create('zones');
    expect(await read(DEVICES)).toEqual({ committed: 2, held: 0, uncertain: 0 });
  });

  it('is added to the last snapshot when the store comes back empty, and written behind (F10)', async () => {
    const { gate, create, read, link, loseEverything, snapshots } = scene();
    await create('door_opens');
    await create('door_opens');
    await gate.close();
    link.state = 'down';
    await create('door_opens', 'open');
    link.state = 'up';
    loseEverything();
    await create('zones');
    expect(await read(OPENS)).toMatchObject({ committed: 3 });
    await gate.close();
    expect(snapshots.get(`acme/${OPENS.key}/${OPENS.window}`)).toMatchObject({ used: 3 });
  });
});

describe('a create of an outage that nobody knows the end of', () => {
  it.each(['open', 'recount'] as const)(
    "counts under '%s' until the rows are counted, when it failed (Q1)",
    async (policy) => {
      const { create, reserve, rows, link } = scene();
      await create('devices');
      await create('devices');
      link.state = 'down';
      const failing = held(await reserve('devices', policy)).run(() => {
        rows.set('acme/devices', 3);
        throw new Error('after its row');
      });
      await expect(failing).rejects.toThrow('after its row');
      link.state = 'up';
      expect((await reserve('devices')).admitted).toBe(false);
    },
  );

  it('counts until the rows are counted, when its handler was never seen to end (Q1)', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { create, reserve, rows, link } = scene();
    await create('devices');
    await create('devices');
    link.state = 'down';
    held(await reserve('devices', 'recount')).letLapse();
    rows.set('acme/devices', 3);
    vi.advanceTimersByTime(1_000);
    link.state = 'up';
    expect((await reserve('devices')).admitted).toBe(false);
  });

  it.each([
    ['release', 1],
    ['charge', 2],
  ] as const)("follows `onFailure: '%s'` where it is metered", async (onFailure, committed) => {
    const { gate, create, read, link } = scene();
    await create('door_opens');
    link.state = 'down';
    const charges = [{ key: 'door_opens' }];
    await held(await gate.reserve({ org: 'acme', charges, onStoreError: 'open', onFailure })).abandon();
    link.state = 'up';
    await create('zones');
    expect(await read(OPENS)).toMatchObject({ committed });
  });

  it('is counted once when it ends after its lease, or was settled before its end went unseen (Q3)', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { gate, create, read, link } = scene();
    await create('door_opens');
    link.state = 'down';
    const request = { org: 'acme', charges: [{ key: 'door_opens' }], onStoreError: 'open' } as const;
    const late = held(await gate.reserve({ ...request, onFailure: 'charge' }));
    late.letLapse();
    vi.advanceTimersByTime(1_000);
    await late.commit();
    const settled = held(await gate.reserve({ ...request, onFailure: 'charge' }));
    await settled.commit();
    settled.letLapse();
    vi.advanceTimersByTime(1_000);
    link.state = 'up';
    await create('zones');
    expect(await read(OPENS)).toMatchObject({ committed: 3 });
  });
});

describe('a create of an outage in strict mode', () => {
  it('is not committed within a transaction: no store holds its units', async () => {
    const { reserve, link } = scene();
    link.state = 'down';
    const committing = held(await reserve('devices', 'open')).commit({ transaction: {} });
    await expect(committing).rejects.toMatchObject({ code: 'reservation_lapsed' });
  });
});

describe('a create of an outage that ends after its lease', () => {
  it.each<[string, (handle: ReservationHandle) => Promise<unknown>]>([
    ['kept', (handle) => handle.commit()],
    ['failed', (handle) => handle.abandon()],
  ])("counts the row that it made after another create's count, when it %s (Q1, Q6)", async (_how, end) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { gate, create, reserve, rows, link } = scene();
    await create('devices');
    await create('devices');
    link.state = 'down';
    const late = held(await reserve('devices', 'recount'));
    late.letLapse();
    vi.advanceTimersByTime(1_000);
    link.state = 'up';
    await gate.usage.report('acme');
    rows.set('acme/devices', 3);
    await end(late);
    expect((await reserve('devices')).admitted).toBe(false);
  });
});

describe('a create that the store let in before an outage', () => {
  it.each(['runs', 'was let lapse'])("takes its room under 'recount' while it %s (Q1)", async (how) => {
    const { reserve, rows, link } = scene();
    rows.set('acme/devices', 2);
    const running = held(await reserve('devices'));
    running.keepAlive();
    if (how === 'was let lapse') running.letLapse();
    link.state = 'down';
    expect((await reserve('devices', 'recount')).admitted).toBe(false);
    await running.release().catch(() => undefined);
    expect((await reserve('devices', 'recount')).admitted).toBe(true);
  });

  it("takes no room of another org under 'recount'", async () => {
    const { gate, reserve, link } = scene();
    const charges = [{ key: 'devices', amount: 3 }];
    held(await gate.reserve({ org: 'globex', charges })).keepAlive();
    link.state = 'down';
    expect((await reserve('devices', 'recount')).admitted).toBe(true);
  });

  it("takes its room under 'recount' when it ends while the rows are counted, which may have missed its row", async () => {
    const { reserve, rows, link, wiring } = scene();
    rows.set('acme/devices', 2);
    const running = held(await reserve('devices'));
    running.keepAlive();
    link.state = 'down';
    const { count } = wiring.inventory;
    wiring.inventory.count = async (request) => {
      const before = await count(request);
      rows.set('acme/devices', 3);
      await running.commit().catch(() => undefined);
      return before;
    };
    expect((await reserve('devices', 'recount')).admitted).toBe(false);
  });
});

describe('a create that the store lets in while others are counted without it', () => {
  it("takes its room under 'recount' though it has ended when the count comes, which missed its row (Q1)", async () => {
    const { reserve, create, link, rows, wiring } = scene();
    for (let n = 0; n < 2; n += 1) await create('devices');
    let answer = () => {};
    const { count } = wiring.inventory;
    wiring.inventory.count = async (request) => {
      const seen = await count(request);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return seen;
    };
    link.state = 'down';
    const deciding = reserve('devices', 'recount');
    await new Promise((resolve) => setImmediate(resolve));
    link.state = 'up';
    await held(await reserve('devices')).run(() => rows.set('acme/devices', 3));
    answer();
    expect((await deciding).admitted).toBe(false);
  });
});

describe("a create that was let in under 'recount'", () => {
  it('is out of the room that the next is told of, when that is refused', async () => {
    const { reserve, rows, link } = scene();
    rows.set('acme/devices', 2);
    link.state = 'down';
    expect(await reserve('devices', 'recount')).toMatchObject({ admitted: true, quotas: [{ remaining: 0 }] });
    expect(await reserve('devices', 'recount')).toMatchObject({
      admitted: false,
      quotas: [{ remaining: 0 }],
    });
  });

  it('takes its room for as long as it is kept alive', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { reserve, rows, link } = scene();
    rows.set('acme/devices', 2);
    link.state = 'down';
    held(await reserve('devices', 'recount')).keepAlive();
    vi.advanceTimersByTime(10_000);
    expect((await reserve('devices', 'recount')).admitted).toBe(false);
  });

  it('gives its room back once, where it lapses and ends later beside others', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { reserve, rows, link } = scene();
    rows.set('acme/devices', 1);
    link.state = 'down';
    const unseen = held(await reserve('devices', 'recount'));
    held(await reserve('devices', 'recount')).keepAlive();
    vi.advanceTimersByTime(1_000);
    await unseen.release();
    expect((await reserve('devices', 'recount')).admitted).toBe(true);
    expect((await reserve('devices', 'recount')).admitted).toBe(false);
  });

  it('takes its room as long as a lease lasts when nobody saw its end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { reserve, rows, link } = scene();
    rows.set('acme/devices', 2);
    link.state = 'down';
    const unseen = held(await reserve('devices', 'recount'));
    unseen.letLapse();
    vi.advanceTimersByTime(999);
    expect((await reserve('devices', 'recount')).admitted).toBe(false);
    vi.advanceTimersByTime(1);
    const next = held(await reserve('devices', 'recount'));
    await unseen.commit();
    await next.release();
    expect((await reserve('devices', 'recount')).admitted).toBe(true);
    expect((await reserve('devices', 'recount')).admitted).toBe(false);
  });
});

describe("creates under 'recount' that come without a pause", () => {
  it('are refused for no row that their count has seen: an import goes on up to the limit (Q13)', async () => {
    const { reserve, rows, wiring, link } = scene();
    link.state = 'down';
    const answers: (() => void)[] = [];
    const { count } = wiring.inventory;
    wiring.inventory.count = async (request) => {
      const seen = await count(request);
      await new Promise<void>((resolve) => answers.push(resolve));
      return seen;
    };
    /** One that waits for its rows to be counted. */
    async function begin() {
      const deciding = reserve('devices', 'recount');
      await vi.waitFor(() => expect(answers).toHaveLength(1), { interval: 1 });
      return { deciding, answer: answers.pop() ?? (() => {}) };
    }
    const admitted: boolean[] = [];
    let next = await begin();
    for (let create = 1; create <= 4; create++) {
      const { deciding, answer } = next;
      // While one is decided, the rows are being counted for another.
      next = await begin();
      answer();
      const decided = await deciding;
      admitted.push(decided.admitted);
      if (!decided.admitted) continue;
      rows.set('acme/devices', create);
      await decided.reservation.commit();
    }
    next.answer();
    await next.deciding;
    expect(admitted).toEqual([true, true, true, false]);
  });
});

describe("a crowd of creates under 'recount'", () => {
  /** A host that counts when it is told to. */
  function crowd() {
    const made = scene();
    made.link.state = 'down';
    const answers: (() => void)[] = [];
    const { count } = made.wiring.inventory;
    let counted = 0;
    let most = 0;
    made.wiring.inventory.count = async (request) => {
      const seen = await count(request);
      counted += 1;
      await new Promise<void>((resolve) => {
        answers.push(resolve);
        most = Math.max(most, answers.length);
      });
      return seen;
    };
    return {
      ...made,
      counts: () => ({ counted, most }),
      underWay: () => answers.length,
      answerAll() {
        for (const answer of answers.splice(0)) answer();
      },
    };
  }

  it('asks the host for few counts at once, and decides them all, none above the limit (Q1)', async () => {
    const { reserve, counts, underWay, answerAll } = crowd();
    const deciding = Promise.all(Array.from({ length: 200 }, () => reserve('devices', 'recount')));
    let isDecided = false;
    void deciding.then(() => {
      isDecided = true;
    });
    while (!isDecided) {
      answerAll();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await deciding).filter(({ admitted }) => admitted)).toHaveLength(3);
    expect(underWay()).toBe(0);
    expect(counts().most).toBeLessThanOrEqual(4);
    expect(counts().counted).toBeLessThanOrEqual(6);
  });

  it('decides none on a count that was begun before it came: a row that was deleted is seen', async () => {
    const { reserve, rows, underWay, answerAll } = crowd();
    rows.set('acme/devices', 3);
    const before = Array.from({ length: 8 }, () => reserve('devices', 'recount'));
    await vi.waitFor(() => expect(underWay()).toBeGreaterThanOrEqual(4), { interval: 1 });
    rows.set('acme/devices', 2);
    const after = reserve('devices', 'recount');
    let admitted = 0;
    for (const deciding of [...before, after])
      void deciding.then((one) => (admitted += Number(one.admitted)));
    await vi.waitFor(
      () => {
        answerAll();
        expect(admitted).toBe(1);
      },
      { interval: 1 },
    );
  });

  it('asks for no count that nobody waits for any more', async () => {
    const { gate, link, wiring } = scene();
    link.state = 'down';
    const answers: (() => void)[] = [];
    const counted: string[] = [];
    wiring.inventory.count = async ({ key }) => {
      counted.push(key);
      if (key === 'zones') throw new Error('the database is down');
      await new Promise<void>((resolve) => answers.push(resolve));
      return 0;
    };
    const reserve = (...keys: string[]) =>
      gate.reserve({ org: 'acme', charges: keys.map((key) => ({ key })), onStoreError: 'recount' });
    const deciding = Array.from({ length: 4 }, () => reserve('devices'));
    await vi.waitFor(() => expect(answers).toHaveLength(4), { interval: 1 });
    await expect(reserve('devices', 'zones')).rejects.toEqual(unavailable);
    for (const answer of answers.splice(0)) answer();
    await Promise.all(deciding);
    expect(counted.filter((key) => key === 'devices')).toHaveLength(4);
  });

  it('is told of a host that fails, and asks it again', async () => {
    const { reserve, host, answerAll, underWay } = crowd();
    host.isDown = true;
    const deciding = Array.from({ length: 20 }, () => reserve('devices', 'recount'));
    for (const one of deciding) await expect(one).rejects.toEqual(unavailable);
    host.isDown = false;
    const next = reserve('devices', 'recount');
    await vi.waitFor(() => expect(underWay()).toBe(1), { interval: 1 });
    answerAll();
    expect((await next).admitted).toBe(true);
  });
});

describe("an outage's create whose record was given away", () => {
  it("takes its room under 'recount' for a lease, and is counted once whoever settles it (Q3)", async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { gate, reserve, rows, read, link } = scene();
    rows.set('acme/devices', 2);
    await held(await reserve('devices')).release();
    link.state = 'down';
    const record = JSON.parse(JSON.stringify(held(await reserve('devices', 'recount'))));
    expect((await reserve('devices', 'recount')).admitted).toBe(false);
    vi.advanceTimersByTime(1_000);
    const next = await reserve('devices', 'recount');
    expect(next.admitted).toBe(true);
    await held(next).release();
    link.state = 'up';
    await gate.resume(record).commit();
    await held(await reserve('zones')).release();
    expect(await read(DEVICES)).toEqual({ committed: 2, held: 0, uncertain: 1 });
  });

  /** Commits an outage's create, and answers its record; the store is back then. */
  async function committed({ create, reserve, link }: ReturnType<typeof scene>) {
    await create('door_opens');
    link.state = 'down';
    const handle = held(await reserve('door_opens', 'open'));
    const record = JSON.parse(JSON.stringify(handle));
    await handle.commit();
    link.state = 'up';
    return record;
  }

  it('is counted once when a job settles it as well (Q3)', async () => {
    const made = scene();
    const record = await committed(made);
    expect(await made.gate.resume(record).commit()).toBe('committed');
    await made.create('door_opens');
    expect(await made.read(OPENS)).toMatchObject({ committed: 3 });
  });

  it('is a debt of its own: what is let through after it is counted, also where a job was faster (Q3)', async () => {
    const { create, reserve, read, link, wiring } = scene();
    await create('door_opens');
    link.state = 'down';
    const handle = held(await reserve('door_opens', 'open'));
    const record = JSON.parse(JSON.stringify(handle));
    await handle.commit();
    await create('door_opens', 'open');
    link.state = 'up';
    await gateOn(wiring).resume(record).commit();
    await create('zones');
    expect(await read(OPENS)).toMatchObject({ committed: 3 });
  });

  it.each<[string, (held: ReservationHandle, resumed: ReservationHandle) => Promise<unknown>]>([
    ['by its handle', (handle) => handle.commit()],
    ['by a job', (_handle, resumed) => resumed.commit()],
    ['by both', (handle, resumed) => Promise.all([handle.commit(), resumed.commit()])],
  ])('counts all its keys once when it is committed %s after its lease (Q3)', async (_who, commit) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { gate, create, rows, read, link } = scene();
    await create('door_opens');
    await create('devices');
    link.state = 'down';
    const charges = [{ key: 'devices' }, { key: 'door_opens' }];
    const handle = held(await gate.reserve({ org: 'acme', charges, onStoreError: 'open' }));
    const record = JSON.parse(JSON.stringify(handle));
    vi.advanceTimersByTime(1_000);
    link.state = 'up';
    await create('zones');
    expect(await read(DEVICES), 'a row may be there').toMatchObject({ committed: 1, uncertain: 1 });
    rows.set('acme/devices', 2);
    await commit(handle, gate.resume(record));
    await create('zones');
    expect(await read(OPENS)).toMatchObject({ committed: 2 });
    await gate.usage.report('acme');
    expect(await read(DEVICES)).toEqual({ committed: 2, held: 0, uncertain: 0 });
  });

  it('is counted once for as long as the host wants ids to be recognised (Q3)', async () => {
    const DAY_MS = 86_400_000;
    const made = scene({ idempotencyMs: 5 * DAY_MS });
    const record = await committed(made);
    await made.create('door_opens');
    made.clock.at += 4 * DAY_MS;
    await made.gate.resume(record).commit();
    await made.create('door_opens');
    expect(await made.read({ key: 'door_opens', window: 'month:2026-04' })).toMatchObject({ committed: 4 });
  });
});

describe('units held when the store lost its data', () => {
  it.each<[string, SettleOutcome]>([
    ['the reservation', { outcome: 'gone' }],
    ['its counter', { outcome: 'settled', late: false, overLimit: false, missing: [0, 1] }],
  ])(
    'are added to the last snapshot when %s is gone at the commit, once (F10, Q3)',
    async (_what, answer) => {
      const { gate, create, reserve, read, loseEverything, link } = scene();
      await create('door_opens');
      await gate.close();
      const running = held(await reserve('door_opens'));
      loseEverything();
      link.instead = { settle: async () => answer };
      await running.commit();
      expect(await read(OPENS)).toMatchObject({ committed: 2 });
      await gate.resume(running.toJSON()).commit();
      expect(await read(OPENS)).toMatchObject({ committed: 2 });
    },
  );

  it.each<[string, number, 'release' | 'charge', (handle: ReservationHandle) => Promise<unknown>]>([
    ['kept', 3, 'release', (handle) => handle.commit()],
    ['kept in part', 1, 'release', (handle) => handle.commit(1)],
    ['given back', 0, 'charge', (handle) => handle.release()],
    ['uncertain and charged then', 3, 'charge', (handle) => handle.abandon()],
    ['uncertain and given back then', 0, 'release', (handle) => handle.abandon()],
  ])('are added as they ended, when they were %s: %i of 3', async (_how, added, onFailure, end) => {
    const { gate, create, read, loseEverything } = scene();
    const charges = [{ key: 'door_opens', amount: 3 }];
    const running = held(await gate.reserve({ org: 'acme', charges, onFailure }));
    loseEverything();
    await end(running);
    await create('door_opens');
    expect(await read(OPENS)).toMatchObject({ committed: added + 1 });
  });

  it('are added to the counters alone that are gone, and stay owed while they cannot be', async () => {
    const { gate, create, read, rows, link } = scene();
    const charges = [{ key: 'devices' }, { key: 'door_opens' }];
    const running = held(await gate.reserve({ org: 'acme', charges }));
    link.instead = {
      settle: async () => ({ outcome: 'settled', late: false, overLimit: false, missing: [0, 2] }),
      adjust: () => Promise.reject(new TollgateError('quota_unavailable')),
    };
    rows.set('acme/devices', 1);
    expect(await running.commit()).toBe('committed');
    link.instead = {};
    await create('zones');
    expect(await read(OPENS)).toMatchObject({ committed: 0 });
    expect(await read({ key: 'door_opens', window: 'month:2026-04' })).toMatchObject({ committed: 1 });
    expect(await read(DEVICES)).toMatchObject({ committed: 0, uncertain: 0 });
  });

  it.each<[string, (handle: ReservationHandle) => unknown]>([
    ['the commit', (handle) => expect(handle.commit()).rejects.toEqual(unavailable)],
    ['a commit that nobody waits for', (handle) => settleUnawaited(handle, 'commit')],
  ])('are added when the answer comes after %s had failed', async (_what, commit) => {
    const { create, reserve, read, loseEverything, link } = scene();
    const running = held(await reserve('door_opens'));
    loseEverything();
    let answerLate = () => {};
    link.instead = {
      async settle(request) {
        answerLate = () => request.onLateAnswer?.({ outcome: 'gone' });
        throw new TollgateError('quota_unavailable');
      },
    };
    await commit(running);
    answerLate();
    link.instead = {};
    await create('zones');
    expect(await read(OPENS)).toMatchObject({ committed: 1 });
  });

  it('are not added for rows, which the next recount sees', async () => {
    const { reserve, read, loseEverything, link } = scene();
    const running = held(await reserve('devices'));
    loseEverything();
    link.instead = {
      settle: async () => ({ outcome: 'settled', late: false, overLimit: false, missing: [0] }),
    };
    link.asked.length = 0;
    await running.commit();
    expect(link.asked).toEqual(['settle']);
    expect(await read(DEVICES)).toBeNull();
  });
});
