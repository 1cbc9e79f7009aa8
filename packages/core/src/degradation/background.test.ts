import { describe, expect, it } from 'vitest';
import { createBackground } from './background.ts';

function background() {
  const warnings: unknown[] = [];
  const quiet = () => undefined;
  const logger = {
    debug: quiet,
    info: quiet,
    error: quiet,
    warn: (_: string, facts?: object) => void warnings.push(facts),
  };
  return { ...createBackground({ logger }), warnings };
}

/** Work that ends when it is told to. */
function work() {
  let end = () => {};
  let begun = 0;
  const run = () => {
    begun += 1;
    return new Promise<void>((resolve) => {
      end = resolve;
    });
  };
  return { run, end: () => end(), begun: () => begun };
}

const turns = () => new Promise((resolve) => setImmediate(resolve));

describe('work in the background', () => {
  it('is done once more when it was asked for again meanwhile, however often, and for each name by itself', async () => {
    const { run, close } = background();
    const one = work();
    const other = work();
    run('one', one.run);
    run('one', one.run);
    run('one', one.run);
    run('other', other.run);
    expect([one.begun(), other.begun()]).toEqual([1, 1]);
    one.end();
    await turns();
    expect(one.begun()).toBe(2);
    one.end();
    await turns();
    expect(one.begun()).toBe(2);
    run('one', one.run);
    expect(one.begun()).toBe(3);
    one.end();
    other.end();
    await close();
  });

  it('is logged now and again when it fails, and done again when it was asked for again', async () => {
    const { run, close, warnings } = background();
    let times = 0;
    const failing = async () => {
      times += 1;
      throw new Error('no');
    };
    run('one', failing);
    run('one', failing);
    await turns();
    expect(times).toBe(2);
    expect(warnings).toEqual([{ work: 'one', error: { name: 'Error', message: 'no' }, failures: 1 }]);
    await close();
  });

  it('is waited for by close, after which nothing is begun', async () => {
    const { run, close } = background();
    const one = work();
    run('one', one.run);
    run('one', one.run);
    let isClosed = false;
    const closing = close().then(() => {
      isClosed = true;
    });
    await turns();
    expect(isClosed).toBe(false);
    one.end();
    await closing;
    run('one', one.run);
    expect(one.begun()).toBe(1);
  });
});
