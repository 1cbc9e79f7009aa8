import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createServerClock } from './server-clock.ts';

const TOLD = 1_800_000_000_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

it("goes on from the time that the server told, though the machine's own calendar is another one", () => {
  const clock = createServerClock();
  expect(clock.now()).toBeUndefined();
  clock.heard(TOLD);
  vi.advanceTimersByTime(90_000);
  expect(clock.now()).toBe(TOLD + 90_000);
});

it('does not know it any more when nothing was heard for long', () => {
  const clock = createServerClock();
  clock.heard(TOLD);
  vi.advanceTimersByTime(600_001);
  expect(clock.now()).toBeUndefined();
});

it('does not know it when the machine slept meanwhile, or its calendar was set, until it hears it anew', () => {
  const clock = createServerClock();
  clock.heard(TOLD);
  vi.advanceTimersByTime(1_000);
  // The clock that never goes back stood still.
  vi.setSystemTime(Date.now() + 150_000);
  expect(clock.now()).toBeUndefined();
  clock.heard(TOLD + 151_000);
  expect(clock.now()).toBe(TOLD + 151_000);
});
