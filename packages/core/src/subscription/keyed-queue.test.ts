import { describe, expect, it } from 'vitest';
import { createKeyedQueue } from './keyed-queue.ts';

describe('a keyed queue', () => {
  it('runs tasks of one key one after another, in the order they came', async () => {
    const queue = createKeyedQueue();
    const log: string[] = [];
    const task = (name: string, turns: number) => async () => {
      log.push(`${name} begins`);
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      log.push(`${name} ends`);
    };
    await Promise.all([queue('k', task('a', 9)), queue('k', task('b', 3)), queue('k', task('c', 0))]);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  it('lets one that comes when the first has ended wait for the second', async () => {
    const queue = createKeyedQueue();
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const first = queue('k', async () => {});
    const log: string[] = [];
    const second = queue('k', () => held.then(() => void log.push('second')));
    await first;
    const third = queue('k', async () => void log.push('third'));
    await new Promise(setImmediate);
    letGo();
    await Promise.all([second, third]);
    expect(log).toEqual(['second', 'third']);
  });

  it('does not let one key wait for another', async () => {
    const queue = createKeyedQueue();
    void queue('slow', () => new Promise(() => {}));
    expect(await queue('quick', async () => 'done')).toBe('done');
  });

  it('goes on after a task that failed, and tells only its own caller', async () => {
    const queue = createKeyedQueue();
    const failing = queue('k', () => Promise.reject(new Error('no')));
    const next = queue('k', async () => 'done');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('done');
  });
});
