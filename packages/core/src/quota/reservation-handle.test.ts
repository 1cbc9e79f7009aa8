import { describe, expect, it } from 'vitest';
import type { SettleAs } from '../ports/counter-store.ts';
import { reservationHandle, settleUnawaited } from './reservation-handle.ts';
import type { ReservationHandle } from './types.ts';

describe('committing', () => {
  it('takes the amount of a key that is called `transaction` for an amount', async () => {
    const kept: unknown[] = [];
    const settler = {
      sharedMs: 1_000,
      settle(_reservation: unknown, _as: SettleAs, amounts?: readonly number[]) {
        kept.push(amounts);
        return Promise.resolve({ outcome: 'settled', late: false, overLimit: false } as const);
      },
      commitWithin: () => Promise.reject(new Error('There is no transaction.')),
      keepAlive: () => undefined,
      letLapse: () => undefined,
      letGo: () => undefined,
    };
    const charge = { key: 'transaction', window: 'lifetime', amount: 2, limit: 9, forgetAt: null } as const;
    const charges = [{ ...charge, onUnknown: 'uncertain' as const }];
    const handle = reservationHandle({ org: 'acme', id: 'a', charges, rememberMs: 0 }, settler);
    expect(await handle.commit({ transaction: 1 })).toBe('committed');
    expect(kept).toEqual([[1]]);
  });
});

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
