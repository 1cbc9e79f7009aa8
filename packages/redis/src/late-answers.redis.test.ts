import type { SettleOutcome } from '@tollgate/core';
import { expect, it, vi } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { count, read, reservation, reserve, settle } from './faults.test-support.ts';
import { plain, server, store } from './outage-scene.test-support.ts';

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
  'settles that failed are told their answers when Redis is back with %s (F10)',
  async (_what, args, awayMs, expected) => {
    const redis = await server({ args: [...args] });
    const counters = store({ url: redis.url, timeoutMs });
    await count(counters, 0);
    await reserve(counters, 'r');
    await reserve(counters, 's');
    await redis.kill('SIGKILL');

    const answers: SettleOutcome[] = [];
    const onLateAnswer = (outcome: SettleOutcome) => answers.push(outcome);
    const settled = counters.settle({ ...reservation('r'), as: 'commit', onLateAnswer });
    const unawaited = new Promise((_resolve, failed) =>
      counters.settleUnawaited?.(reservation('s'), 'commit', { settled: onLateAnswer, failed }),
    );
    for (const failure of [settled, unawaited])
      await expect(failure).rejects.toMatchObject({ code: 'quota_unavailable' });
    const now = performance.now.bind(performance);
    const toldAt = now();
    vi.spyOn(performance, 'now').mockImplementation(() => now() + awayMs);
    await waitUntil('it was looked after again', () => now() - toldAt > 3 * timeoutMs);
    await server({ port: redis.port, dir: redis.dir, args: [...args] });
    await waitUntil('the answers are told', () => answers.length > 1);
    expect(answers).toEqual([expected, expected]);
  },
);

it.each(['awaited', 'unawaited'] as const)(
  'what was settled, %s, is not made known again to a store that lost it (F10)',
  async (how) => {
    const redis = await server();
    const counters = store({ url: redis.url });
    await count(counters, 0);
    await reserve(counters, 'r');
    await reserve(counters, 'running');
    if (how === 'awaited') await settle(counters, 'r', 'commit');
    else
      await new Promise((settled, failed) =>
        counters.settleUnawaited?.(reservation('r'), 'commit', { settled, failed }),
      );
    await plain(redis).flushall();
    await count(counters, 1);
    expect(await read(counters)).toMatchObject({ committed: 1, held: 1 });
  },
);
