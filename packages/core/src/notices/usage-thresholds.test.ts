import { describe, expect, it } from 'vitest';
import { DAY, lifecycleOnMemory } from '../degradation/lifecycle.test-support.ts';
import type { QuotaState } from '../quota/types.ts';
import { createNotices } from './notices.ts';
import { createUsageThresholds } from './usage-thresholds.ts';

const day = Date.UTC(2026, 3, 9);

/** One process on the given repository, and what it told. */
function watching(shared: Parameters<typeof lifecycleOnMemory>[1] = {}, usageThresholds?: readonly number[]) {
  const one = lifecycleOnMemory(usageThresholds === undefined ? {} : { usageThresholds }, shared);
  const notices = createNotices(one.wiring);
  const told: string[] = [];
  notices.on('usage.threshold', ({ org, key, period, window, threshold, current, limit }) => {
    told.push(`${org} ${key} ${period} ${window} ${threshold}% ${current}/${limit}`);
  });
  const thresholds = createUsageThresholds(one.wiring, notices);
  const see = async (quota: QuotaState, org = 'acme') => {
    thresholds.observe(org, [quota]);
    await thresholds.close();
  };
  return { ...one, told, see };
}

const opens = (used: number, value: number | null = 10, startsAt: number = day): QuotaState => ({
  key: 'door_opens',
  period: 'day',
  unit: 'count',
  window: { label: `day:${new Date(startsAt).toISOString().slice(0, 10)}`, startsAt, endsAt: startsAt + DAY },
  limit: { value, source: { kind: 'default' } },
  remaining: value === null ? null : value - used,
});
const devices = (used: number, value = 10): QuotaState => ({
  key: 'devices',
  period: 'lifetime',
  unit: 'count',
  window: { label: 'lifetime', startsAt: null, endsAt: null },
  limit: { value, source: { kind: 'default' } },
  remaining: value - used,
});

describe('usage thresholds', () => {
  it('are told at 80 and 100 percent, once each, with what was reached', async () => {
    const { told, see } = watching();
    for (let used = 1; used <= 10; used += 1) await see(opens(used));
    await see(opens(10));
    expect(told).toEqual([
      'acme door_opens day day:2026-04-09 80% 8/10',
      'acme door_opens day day:2026-04-09 100% 10/10',
    ]);
  });

  it('are told in order when one step crosses several', async () => {
    const { told, see } = watching({}, [90, 50, 100, 50]);
    await see(opens(95, 100));
    expect(told.map((line) => line.split(' ')[4])).toEqual(['50%', '90%']);
  });

  it('are told once over all processes', async () => {
    const one = watching();
    const other = watching(one);
    for (const used of [8, 9, 10]) {
      await Promise.all([one.see(opens(used)), other.see(opens(used))]);
      await other.see(opens(used));
    }
    expect([...one.told, ...other.told]).toHaveLength(2);
  });

  it('are told once though the repository answers a burst of creates in another order', async () => {
    const { told, see, repository, clock } = watching();
    const { moveCrossing } = repository;
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    repository.moveCrossing = async (request) => {
      if (request.level === 80) await held;
      return await moveCrossing(request);
    };
    const seen = [see(devices(8)), see(devices(10))];
    await new Promise(setImmediate);
    letGo();
    await Promise.all(seen);
    clock.at += 60_000;
    await see(devices(10));
    expect(told.map((line) => line.split(' ')[4])).toEqual(['80%', '100%']);
  });

  it('are told anew in a new window, and a late word of the old one does not count', async () => {
    const { told, see } = watching();
    await see(opens(8));
    await see(opens(8, 10, day + DAY));
    await see(opens(10, 10, day));
    expect(told).toEqual([
      'acme door_opens day day:2026-04-09 80% 8/10',
      'acme door_opens day day:2026-04-10 80% 8/10',
    ]);
  });

  it('of a window are not told again because another process sees less', async () => {
    const one = watching();
    const slow = watching(one);
    await one.see(opens(10));
    await slow.see(opens(8));
    one.clock.at += 3_600_000;
    await one.see(opens(10));
    expect([...one.told, ...slow.told]).toHaveLength(2);
  });

  it('of a capacity key are told at each crossing: rows come and go', async () => {
    const { told, see } = watching();
    for (const used of [7, 8, 7, 8]) await see(devices(used));
    expect(told).toEqual([
      'acme devices lifetime lifetime 80% 8/10',
      'acme devices lifetime lifetime 80% 8/10',
    ]);
  });

  it('follow the limit: a raised one is crossed again', async () => {
    const { told, see } = watching();
    await see(devices(8, 10));
    await see(devices(8, 20));
    await see(devices(16, 20));
    expect(told).toHaveLength(2);
  });

  it('are not told of unlimited keys, limits of 0 and sessions', async () => {
    const { told, see } = watching();
    await see(opens(99, null));
    await see(devices(0, 0));
    await see({ ...opens(9), period: 'per_session' });
    expect(told).toEqual([]);
  });

  it('tell orgs apart', async () => {
    const { told, see } = watching();
    await see(devices(8), 'acme');
    await see(devices(8), 'globex');
    expect(told).toHaveLength(2);
  });

  it('ask the repository nothing below the first threshold, nor again for what is known', async () => {
    const one = watching();
    const { moveCrossing } = one.repository;
    let asked = 0;
    one.repository.moveCrossing = (request) => {
      asked += 1;
      return moveCrossing(request);
    };
    for (let used = 0; used < 8; used += 1) await one.see(opens(used));
    expect(asked).toBe(0);
    for (let times = 0; times < 5; times += 1) await one.see(opens(8));
    expect(asked).toBe(1);
  });

  it('are told later when the repository could not be reached, and harm nobody then', async () => {
    const one = watching();
    const { moveCrossing } = one.repository;
    one.repository.moveCrossing = () => Promise.reject(new Error('away'));
    for (let creates = 0; creates < 3; creates += 1) await one.see(opens(8));
    expect(one.log).toEqual(['A usage threshold could not be recorded.']);
    expect(one.facts).toMatchObject([{ org: 'acme', key: 'door_opens', failures: 1 }]);
    one.repository.moveCrossing = moveCrossing;
    await one.see(opens(9));
    expect(one.told).toEqual(['acme door_opens day day:2026-04-09 80% 9/10']);
  });
});
