import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { CounterStore } from '@tollgate/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RedisServer, startRedis, waitUntil } from '../../../test/support/services.ts';
import { charge, count, openStore, read, reserve } from './faults.test-support.ts';

interface Worker {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
  said(pattern: RegExp): Promise<string>;
  tell(): void;
}

const worker = fileURLToPath(new URL('worker.test-support.ts', import.meta.url));
const children = new Set<ChildProcess>();
let redis: RedisServer;
let counters: CounterStore;

beforeEach(async () => {
  redis = await startRedis();
  counters = openStore({ url: redis.url, timeoutMs: 5_000 });
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  await counters.close();
  await redis.stop();
});

function start(...args: readonly string[]): Worker {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--conditions', '@tollgate/source', worker, ...args],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  children.add(child);
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return {
    child,
    lines,
    said: (pattern) =>
      waitUntil(`the worker says ${pattern}`, () => lines.find((line) => pattern.test(line)), {
        timeoutMs: 60_000,
      }),
    tell: () => child.stdin?.write('go\n'),
  };
}

const limited = (limit: number) => ({ charges: [charge({ limit })] });

describe('several processes on one Redis', () => {
  it('8 processes x 5,000 reserves at limit 1,000 admit 1,000 (Q1)', { timeout: 120_000 }, async () => {
    await count(counters, 0);
    const workers = Array.from({ length: 8 }, () => start('race', redis.url, '5000'));
    await Promise.all(workers.map((one) => one.said(/ready/)));
    for (const one of workers) one.tell();
    const said = await Promise.all(workers.map((one) => one.said(/admitted \d+/)));
    const admitted = said.map((line) => Number(line.split(' ')[1]));
    expect(admitted.reduce((sum, units) => sum + units, 0)).toBe(1_000);
    expect(await read(counters)).toMatchObject({ committed: 1_000, held: 0, uncertain: 0 });
  });

  it('units of a killed process are free again when its leases end, not before (F2, F3, Q5)', {
    timeout: 60_000,
  }, async () => {
    await count(counters, 0);
    const leaseMs = 2_000;
    const released = { charges: [charge({ limit: 3, onUnknown: 'release' })] };
    const holder = start('hold', redis.url, `${leaseMs}`, '3');
    await holder.said(/holding/);
    const heldAt = performance.now();
    holder.child.kill('SIGKILL');
    expect(await reserve(counters, 'early', released)).toMatchObject({ outcome: 'denied' });
    await waitUntil('its units are no longer held', async () => (await read(counters))?.held === 0);
    expect(performance.now() - heldAt).toBeLessThan(leaseMs + 1_000);
    // Their rows may exist: they count until a recount tells.
    expect(await read(counters)).toMatchObject({ held: 0, uncertain: 3 });
    await count(counters, 1);
    expect(await reserve(counters, 'then', released)).toMatchObject({ outcome: 'reserved' });
  });

  it('a process stopped beyond its lease commits late, once, and says so (F7, Q1x)', {
    timeout: 60_000,
  }, async () => {
    await count(counters, 999);
    const stopped = start('late', redis.url, '500');
    await stopped.said(/holding/);
    stopped.child.kill('SIGSTOP');
    expect(await reserve(counters, 'early', limited(1_000))).toMatchObject({ outcome: 'denied' });
    await waitUntil('its lease has run out', async () => (await read(counters))?.held === 0);
    await count(counters, 999);
    expect(await reserve(counters, 'instead', limited(1_000))).toMatchObject({ outcome: 'reserved' });
    stopped.child.kill('SIGCONT');
    stopped.tell();
    expect(JSON.parse(await stopped.said(/outcome/))).toEqual({
      outcome: 'settled',
      late: true,
      overLimit: true,
    });
    expect(await read(counters)).toMatchObject({ committed: 999, held: 1, uncertain: 1 });
  });
});
