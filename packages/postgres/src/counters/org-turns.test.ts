import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Database, HeldDatabase } from '../database/database.ts';
import { createOrgTurns } from './org-turns.ts';

const TIMEOUT_MS = 100;
const flush = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Steps of one org, each of which lasts until it is ended by hand. */
function scene() {
  const places = new Set<HeldDatabase>();
  const hold = () => {
    const place = { transaction: () => Promise.reject(new Error('not asked for')), letGoAfter: () => {} };
    places.add(place);
    return place;
  };
  const inTurn = createOrgTurns({ hold } as unknown as Database, TIMEOUT_MS);
  const begun: string[] = [];
  const left: Record<string, number> = {};
  const ends: Record<string, () => void> = {};
  const step = (name: string) =>
    inTurn('acme', (_place, leftMs) => {
      begun.push(name);
      left[name] = leftMs;
      return new Promise<void>((resolve) => {
        ends[name] = resolve;
      });
    });
  const end = (name: string) => ends[name]?.();
  return { step, end, begun, left, places };
}

it('two steps of an org run at once, and the others in the order in which they were asked for', async () => {
  const { step, end, begun, places } = scene();
  const asked = ['a', 'b', 'c', 'd', 'e'].map(step);
  await flush();
  expect(begun).toEqual(['a', 'b']);
  for (const name of ['b', 'a', 'd', 'c', 'e']) {
    end(name);
    await flush();
  }
  await Promise.all(asked);
  expect(begun).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(places.size).toBe(2);
});

it('what ended behind nobody makes room for one step, not for two', async () => {
  const { step, end, begun } = scene();
  const asked = ['a', 'b'].map(step);
  await flush();
  end('a');
  await flush();
  asked.push(...['c', 'd'].map(step));
  await flush();
  expect(begun).toEqual(['a', 'b', 'c']);
  for (const name of ['b', 'c', 'd']) {
    end(name);
    await flush();
  }
  await Promise.all(asked);
});

it('the wait for its turn is a part of the time that a step has', async () => {
  const { step, end, left } = scene();
  const asked = ['a', 'b', 'c'].map(step);
  await vi.advanceTimersByTimeAsync(60);
  end('a');
  await flush();
  expect(left).toEqual({ a: TIMEOUT_MS, b: TIMEOUT_MS, c: TIMEOUT_MS - 60 });
  for (const name of ['b', 'c']) end(name);
  await Promise.all(asked);
});

it('a turn that comes in the very moment in which who waits for it gives up is not lost', async () => {
  const { step, end, begun } = scene();
  const running = ['a', 'b'].map(step);
  const late = expect(step('c')).rejects.toMatchObject({ code: 'repository_unavailable' });
  await flush();
  vi.advanceTimersByTime(TIMEOUT_MS);
  end('a');
  await late;
  running.push(step('d'));
  await flush();
  expect(begun).toEqual(['a', 'b', 'd']);
  for (const name of ['b', 'd']) end(name);
  await Promise.all(running);
});
