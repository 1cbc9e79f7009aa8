import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import { gateOn, gateOnMemory } from './gate.test-support.ts';
import type { Admission, ReservationHandle } from './types.ts';

const LEASE_MS = 900;
const BEAT_MS = LEASE_MS / 3;
const WHOLE_LIMIT = { org: 'acme', charges: [{ key: 'devices', amount: 3 }] };

function held(admission: Admission): ReservationHandle {
  if (!admission.admitted) throw new Error('the create was refused');
  return admission.reservation;
}

/** A gate whose time passes only when it is told to, for leases as for their renewals. */
function scene() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const store = { isDown: false, isEmpty: false, isDeaf: false };
  const renewed: string[] = [];
  const made = gateOnMemory({ leaseMs: LEASE_MS }, (inner) => ({
    ...inner,
    reserve: (request) =>
      store.isDown
        ? Promise.reject(new TollgateError('quota_unavailable', { retryAfterSeconds: 1 }))
        : inner.reserve(request),
    renew(request) {
      renewed.push(...request.leases.map((lease) => lease.id));
      if (store.isDeaf) return Promise.reject(new TollgateError('quota_unavailable'));
      return store.isEmpty ? Promise.resolve(request.leases.map(() => false)) : inner.renew(request);
    },
  }));
  return {
    ...made,
    store,
    renewed,
    async pass(beats: number) {
      for (let beat = 0; beat < beats; beat++) {
        made.clock.at += BEAT_MS;
        vi.advanceTimersByTime(BEAT_MS);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

async function threeKeptAlive(gate: ReturnType<typeof scene>['gate']) {
  const create = async () => held(await gate.reserve({ org: 'acme', charges: [{ key: 'devices' }] }));
  const handles = [await create(), await create(), await create()] as const;
  for (const handle of handles) handle.keepAlive();
  return handles;
}

describe('a lease that is kept alive', () => {
  it('goes on for as long as `run` does, though nobody sees the answer end (Q6)', async () => {
    const { gate, pass } = scene();
    const reservation = held(await gate.reserve(WHOLE_LIMIT));
    reservation.keepAlive();
    void reservation.run(() => new Promise<void>(() => {}));
    reservation.letLapse();
    await pass(12);
    expect((await gate.reserve(WHOLE_LIMIT)).admitted).toBe(false);
  });

  it('is renewed again after the store could not be told', async () => {
    const { gate, pass, store } = scene();
    held(await gate.reserve(WHOLE_LIMIT)).keepAlive();
    await pass(2);
    store.isDeaf = true;
    await pass(1);
    store.isDeaf = false;
    await pass(9);
    expect((await gate.reserve(WHOLE_LIMIT)).admitted).toBe(false);
  });

  it('is renewed no more once the engine has closed', async () => {
    const { gate, pass, renewed } = scene();
    held(await gate.reserve(WHOLE_LIMIT)).keepAlive();
    await pass(2);
    expect(renewed).toHaveLength(1);
    await gate.close();
    await pass(4);
    expect(renewed).toHaveLength(1);
  });

  it('by `run` alone goes on as well', async () => {
    const { gate, pass } = scene();
    void held(await gate.reserve(WHOLE_LIMIT)).run(() => new Promise<void>(() => {}));
    await pass(12);
    expect((await gate.reserve(WHOLE_LIMIT)).admitted).toBe(false);
  });

  it('no more takes its room in an outage until it is over for certain', async () => {
    const { gate, pass, store } = scene();
    const reservation = held(await gate.reserve(WHOLE_LIMIT));
    reservation.keepAlive();
    await pass(1);
    reservation.letLapse();
    store.isDown = true;
    const admitted = async () => (await gate.reserve({ ...WHOLE_LIMIT, onStoreError: 'recount' })).admitted;
    await pass(3);
    expect(await admitted()).toBe(false);
    await pass(1);
    expect(await admitted()).toBe(true);
  });

  it('among others is the only one renewed when those are settled, in whatever order', async () => {
    const { gate, pass, renewed } = scene();
    const [first, second, third] = await threeKeptAlive(gate);
    await first.commit();
    await third.commit();
    await pass(2);
    expect(renewed).toEqual([second.id]);
  });

  it('among others leaves theirs alone when it was let lapse and ends all the same', async () => {
    const { gate, pass, renewed } = scene();
    const [first, second, third] = await threeKeptAlive(gate);
    first.letLapse();
    await first.commit();
    await pass(2);
    expect(renewed.sort()).toEqual([second.id, third.id].sort());
  });

  it('has a timer until it is over, and none beyond it', async () => {
    const { gate, pass } = scene();
    const [settled, lapsing] = [
      held(await gate.reserve({ org: 'acme', charges: [{ key: 'devices' }] })),
      held(await gate.reserve({ org: 'acme', charges: [{ key: 'devices' }] })),
    ];
    for (const handle of [settled, lapsing]) handle.keepAlive();
    lapsing.letLapse();
    await settled.commit();
    await pass(3);
    expect(vi.getTimerCount()).toBe(1);
    await pass(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('twice, by the guard and by `run`, takes no room any more when it is settled', async () => {
    const { gate, pass, renewed, store } = scene();
    const reservation = held(await gate.reserve(WHOLE_LIMIT));
    reservation.keepAlive();
    await pass(1);
    await reservation.run(() => undefined);
    renewed.length = 0;
    await pass(3);
    expect(renewed).toEqual([]);
    store.isDown = true;
    expect(await gate.reserve({ ...WHOLE_LIMIT, onStoreError: 'recount' })).toMatchObject({ admitted: true });
  });

  it('is renewed no more once another process has settled it, and takes no room in an outage', async () => {
    const { gate, wiring, pass, renewed, store } = scene();
    const reservation = held(await gate.reserve(WHOLE_LIMIT));
    reservation.keepAlive();
    await pass(2);
    await gateOn(wiring).resume(reservation.toJSON()).release();
    await pass(9);
    renewed.length = 0;
    await pass(3);
    expect(renewed).toEqual([]);
    store.isDown = true;
    expect(await gate.reserve({ ...WHOLE_LIMIT, onStoreError: 'recount' })).toMatchObject({ admitted: true });
  });

  it.each([
    ['here alone', false],
    ['by others too', true],
  ])('%s, and is lost, is renewed again when the store has been told of it', async (_who, isShared) => {
    const { gate, pass, renewed, store } = scene();
    const reservation = held(await gate.reserve(WHOLE_LIMIT));
    if (isShared) reservation.toJSON();
    reservation.keepAlive();
    await pass(2);
    for (let loss = 0; loss < 6; loss++) {
      store.isEmpty = true;
      await pass(1);
      store.isEmpty = false;
      await pass(1);
    }
    renewed.length = 0;
    await pass(1);
    expect(renewed).toHaveLength(1);
  });

  it('and was lost takes its room in an outage for as long as its handler runs', async () => {
    const { gate, pass, store } = scene();
    held(await gate.reserve(WHOLE_LIMIT)).keepAlive();
    store.isEmpty = true;
    await pass(20);
    store.isDown = true;
    expect(await gate.reserve({ ...WHOLE_LIMIT, onStoreError: 'recount' })).toMatchObject({
      admitted: false,
    });
  });

  it.each([0, 1])('twice ends once, when it is let lapse after %i beats', async (beats) => {
    const { gate, pass } = scene();
    const reservation = held(await gate.reserve(WHOLE_LIMIT));
    reservation.keepAlive();
    await pass(beats);
    reservation.keepAlive();
    reservation.letLapse();
    await pass(4);
    expect((await gate.reserve(WHOLE_LIMIT)).admitted).toBe(true);
  });

  it('again, after it was let lapse, goes on', async () => {
    const { gate, pass } = scene();
    const reservation = held(await gate.reserve(WHOLE_LIMIT));
    reservation.keepAlive();
    await pass(2);
    reservation.letLapse();
    await pass(1);
    reservation.keepAlive();
    await pass(12);
    expect((await gate.reserve(WHOLE_LIMIT)).admitted).toBe(false);
  });
});
