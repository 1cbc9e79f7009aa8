import { describe, expect, it } from 'vitest';
import type { SettleAs } from '../ports/counter-store.ts';
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

  it('makes no promise, and tells how it ended whoever asks later', async () => {
    const told: string[] = [];
    const settler = {
      sharedMs: 1_000,
      settle: () => {
        told.push('settle');
        return Promise.resolve({ outcome: 'gone' as const });
      },
      settleUnawaited: (_reservation: unknown, as: SettleAs) => {
        told.push(`unawaited ${as}`);
        const outcome = { outcome: 'settled', late: false, overLimit: false } as const;
        return { as, outcome: () => Promise.resolve(outcome) };
      },
      commitWithin: () => Promise.resolve(),
      keepAlive: () => told.push('keepAlive'),
      letLapse: () => told.push('letLapse'),
      letGo: () => told.push('letGo'),
    };
    const handle = reservationHandle({ org: 'acme', id: 'a', charges: [], rememberMs: 0 }, settler);
    settleUnawaited(handle, 'release');
    settleUnawaited(handle, 'commit');
    handle.keepAlive();
    expect(await handle.commit()).toBe('released');
    expect(await handle.abandon()).toBe('released');
    expect(told).toEqual(['letGo', 'unawaited release']);
  });
});
