import { describe, expect, it } from 'vitest';
import { reservationHandle, settleUnawaited } from './reservation-handle.ts';
import type { ReservationHandle } from './types.ts';

describe('settling for somebody who does not wait', () => {
  it('settles a handle that a host has wrapped, by what every handle has', () => {
    const called: string[] = [];
    const method = (name: string) => () => {
      called.push(name);
      return Promise.reject(new Error('away'));
    };
    const handle = { commit: method('commit'), release: method('release'), abandon: method('abandon') };
    for (const as of ['commit', 'release', 'unknown'] as const) {
      settleUnawaited(handle as unknown as ReservationHandle, as);
    }
    expect(called).toEqual(['commit', 'release', 'abandon']);
  });

  it('tells the store that nobody waits, which a commit of the host does not', async () => {
    const told: (boolean | undefined)[] = [];
    const settler = {
      settle: (_reservation: unknown, _as: unknown, how?: { readonly isAwaited?: boolean }) => {
        told.push(how?.isAwaited);
        return Promise.resolve({ outcome: 'gone' as const });
      },
      commitWithin: () => Promise.resolve(),
      keepAlive: () => undefined,
      letLapse: () => undefined,
      letGo: () => undefined,
    };
    const handle = (id: string) =>
      reservationHandle({ org: 'acme', id, charges: [], rememberMs: 0 }, settler);
    settleUnawaited(handle('a'), 'commit');
    await handle('b').commit();
    expect(told).toEqual([false, undefined]);
  });
});
