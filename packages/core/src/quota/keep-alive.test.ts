import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { gateOnMemory } from './gate.test-support.ts';
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
  const made = gateOnMemory({ leaseMs: LEASE_MS });
  return {
    ...made,
    async pass(beats: number) {
      for (let beat = 0; beat < beats; beat++) {
        made.clock.at += BEAT_MS;
        vi.advanceTimersByTime(BEAT_MS);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
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
});
