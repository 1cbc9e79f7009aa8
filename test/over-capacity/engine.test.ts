import { type BillingOptions, createBilling, type NoticeMap, type NoticeName } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { DAY, overCapacityScene } from './scene.ts';

const scene = (options: Partial<BillingOptions> = {}) => overCapacityScene('express 5', { options });

function listen<N extends NoticeName>(billing: Awaited<ReturnType<typeof scene>>['billing'], name: N) {
  const heard: NoticeMap[N][] = [];
  const off = billing.on(name, (notice) => void heard.push(notice));
  return { heard, off };
}

describe('the engine', () => {
  it('tells of a crossing without anybody asking, once a lowered limit is stored', async () => {
    const { billing, setLimit, startedAt } = await scene();
    await setLimit(9);
    const { heard, off } = listen(billing, 'capacity.warned');
    await setLimit(3);
    await waitUntil('the notice is heard', () => heard.length === 1);
    expect(heard).toEqual([
      {
        org: 'acme',
        stage: 'warned',
        overCapacityAt: startedAt,
        overages: [{ key: 'devices', unit: 'count', current: 5, limit: 3, excess: 2 }],
      },
    ]);
    off();
    await setLimit(9);
    await billing.degradation('acme');
    await setLimit(3);
    await billing.degradation('acme');
    expect(heard).toHaveLength(1);
  });

  it('goes on when a listener throws', async () => {
    const { billing } = await scene();
    billing.on('capacity.warned', () => {
      throw new Error('no');
    });
    const { heard } = listen(billing, 'capacity.warned');
    expect((await billing.degradation('acme')).stage).toBe('warned');
    expect(heard).toHaveLength(1);
  });

  it('tells of thresholds that creates reach, from the hot path and without slowing it', async () => {
    const { billing } = await scene({ usageThresholds: [2] });
    const { heard } = listen(billing, 'usage.threshold');
    for (let times = 0; times < 3; times += 1) {
      const admission = await billing.reserve({ org: 'acme', charges: [{ key: 'door_opens' }] });
      if (admission.admitted) await admission.reservation.commit();
    }
    await waitUntil('the notice is heard', () => heard.length > 0);
    expect(heard).toMatchObject([
      { org: 'acme', key: 'door_opens', period: 'day', threshold: 2, current: 2, limit: 100 },
    ]);
  });

  it('sweeps by itself until it is closed', async () => {
    const { billing, at } = await scene({
      lifecycle: { suspend() {}, restore() {}, sightingMs: 1 },
    });
    let stages = 0;
    billing.on('capacity.degraded', () => {
      stages += 1;
    });
    await billing.degradation('acme');
    at(14 * DAY);
    billing.startSweeper({ everyMs: 5 });
    await waitUntil('the sweeper saw the stage', () => stages === 1);
    await billing.close();
    await expect(billing.sweep()).resolves.toMatchObject({ orgs: 0 });
  });

  it('foretells a change of tier', async () => {
    const { billing, setLimit } = await scene();
    await setLimit(9);
    expect(await billing.preview({ org: 'acme', tier: 'free' })).toMatchObject({ keys: [], timeline: null });
  });

  const faults: readonly (readonly [options: object, sentence: string])[] = [
    [{ lifecycle: { suspend() {} } }, 'lifecycle: lacks suspend or restore'],
    [{ lifecycle: { suspend() {}, restore() {}, remove: 'yes' } }, 'lifecycle.remove: is not a function'],
    [
      { lifecycle: { suspend() {}, restore() {}, sightingMs: 0 } },
      'lifecycle.sightingMs: must be a whole number',
    ],
    [{ overCapacity: { maxDelayMs: -1 } }, 'overCapacity.maxDelayMs: must be a whole number'],
    [{ overCapacity: { defaultPolicy: 'random' } }, 'overCapacity.defaultPolicy: is unknown'],
    [{ usageThresholds: [80, 120] }, 'usageThresholds: must be whole percentages'],
  ];
  it.each(faults)('names the fault of %j at start', async (options, sentence) => {
    expect(() => createBilling(options as unknown as BillingOptions)).toThrow(sentence);
  });
});
