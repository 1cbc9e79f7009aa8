import type { SettleOutcome } from '@tollgate/core';
import { expect, it, vi } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { charge, count, reserve } from './faults.test-support.ts';
import { server, store } from './outage-scene.test-support.ts';

const KEEPS = ['--appendonly', 'yes', '--appendfsync', 'always'];
const timeoutMs = 200;
/** So long after it was sent, a batch is not sent again. */
const GIVEN_UP_MS = 61_000;

it.each([
  ['nothing', [], 0, { outcome: 'gone' }],
  ['nothing', [], GIVEN_UP_MS, { outcome: 'gone' }],
  ['its data', KEEPS, 0, { outcome: 'settled', late: false, overLimit: false }],
  ['its data', KEEPS, GIVEN_UP_MS, { outcome: 'settled', late: false, overLimit: false }],
] as const)(
  'a settle that failed is told its answer when Redis is back with %s (F10)',
  async (_what, args, awayMs, expected) => {
    const redis = await server({ args: [...args] });
    const counters = store({ url: redis.url, timeoutMs });
    await count(counters, 0);
    await reserve(counters, 'r');
    await redis.kill('SIGKILL');

    const answers: SettleOutcome[] = [];
    const request = { org: 'acme', id: 'r', charges: [charge()], rememberMs: 0, as: 'commit' } as const;
    const settled = counters.settle({ ...request, onLateAnswer: (outcome) => answers.push(outcome) });
    await expect(settled).rejects.toMatchObject({ code: 'quota_unavailable' });
    const now = performance.now.bind(performance);
    const toldAt = now();
    vi.spyOn(performance, 'now').mockImplementation(() => now() + awayMs);
    await waitUntil('it was looked after again', () => now() - toldAt > 3 * timeoutMs);
    await server({ port: redis.port, dir: redis.dir, args: [...args] });
    await waitUntil('the answer is told', () => answers.length > 0);
    expect(answers).toEqual([expected]);
  },
);
