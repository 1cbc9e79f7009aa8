import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { frictionDelayMs } from './friction-delay.ts';
import { createWaitingRoom } from './waiting-room.ts';

const client = () => Object.assign(new EventEmitter(), { destroyed: false });

describe('the delay', () => {
  it('is the level times the longest delay, and never longer', () => {
    expect(frictionDelayMs(0.5, 2_000)).toBe(1_000);
    expect(frictionDelayMs(1, 2_000)).toBe(2_000);
    expect(frictionDelayMs(0, 2_000)).toBe(0);
    expect(frictionDelayMs(1, 0)).toBe(0);
    fc.assert(
      fc.property(fc.double(), fc.nat(60_000), (level, maxDelayMs) => {
        const delayMs = frictionDelayMs(level, maxDelayMs);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(maxDelayMs);
        expect(Number.isInteger(delayMs)).toBe(true);
      }),
    );
  });
});

describe('the waiting room', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('holds a request for its time and not longer', async () => {
    const room = createWaitingRoom(5);
    let end: string | null = null;
    void room.wait(100, client()).then((how) => {
      end = how;
    });
    await vi.advanceTimersByTimeAsync(99);
    expect([end, room.waiting]).toEqual([null, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect([end, room.waiting]).toEqual(['waited', 0]);
  });

  it('never holds more than it has room for: the others pass at once', async () => {
    const room = createWaitingRoom(2);
    const held = [room.wait(100, client()), room.wait(100, client())];
    expect(await room.wait(100, client())).toBe('full');
    expect(room.waiting).toBe(2);
    await vi.advanceTimersByTimeAsync(100);
    expect(await Promise.all(held)).toEqual(['waited', 'waited']);
    const next = room.wait(1, client());
    await vi.advanceTimersByTimeAsync(1);
    expect(await next).toBe('waited');
  });

  it('lets go of a request whose client leaves, or has left already', async () => {
    const room = createWaitingRoom(1);
    const leaving = client();
    const held = room.wait(100, leaving);
    leaving.emit('close');
    expect(await held).toBe('left');
    expect([room.waiting, vi.getTimerCount()]).toEqual([0, 0]);
    expect(await room.wait(100, Object.assign(client(), { destroyed: true }))).toBe('left');
  });

  it('listens to nobody any more once it has let go', async () => {
    const room = createWaitingRoom(1);
    const one = client();
    const held = room.wait(1, one);
    await vi.advanceTimersByTimeAsync(1);
    await held;
    expect(one.listenerCount('close')).toBe(0);
    one.emit('close');
    expect(room.waiting).toBe(0);
  });
});
