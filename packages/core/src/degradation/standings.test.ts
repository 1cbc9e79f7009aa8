import { expect, it } from 'vitest';
import { DAY, lifecycleOnMemory, START, testClock } from './lifecycle.test-support.ts';

/** An org with five devices at a limit of 3, over it since the start. */
async function acmeOver() {
  const one = lifecycleOnMemory();
  for (let n = 1; n <= 5; n += 1) one.host.add('acme', 'devices', `d${n}`, START + n);
  await one.degradation.report('acme');
  one.host.state.listed = 0;
  return one;
}

it('is the stage and level of now, and lists no rows to know them', async () => {
  const { degradation, clock, host } = await acmeOver();
  expect(await degradation.standing('acme')).toEqual({ stage: 'warned', level: 0 });
  clock.at = START + 21 * DAY;
  await degradation.report('acme');
  host.state.listed = 0;
  for (const day of [21, 24.5]) {
    clock.at = START + day * DAY;
    expect(await degradation.standing('acme')).toEqual({ stage: 'degraded', level: (day - 14) / 14 });
  }
  expect(host.state.listed).toBe(0);
});

it('ends the spell of an org within its limits, and tells of a stage that nobody has told yet', async () => {
  const { degradation, clock, host, told } = await acmeOver();
  clock.at = START + 14 * DAY;
  await degradation.standing('acme');
  host.drop('acme', 'devices', 'd1');
  host.drop('acme', 'devices', 'd2');
  expect(await degradation.standing('acme')).toEqual({ stage: 'none', level: 0 });
  expect(told.map(({ name }) => name)).toEqual(['capacity.warned', 'capacity.degraded', 'capacity.cleared']);
});

it('is read anew after limitsTtlMs, when a clock was set back, and at once when reading it failed', async () => {
  const { repository, clock, ...shared } = await acmeOver();
  const { degradation } = lifecycleOnMemory({ limitsTtlMs: 1_000 }, { ...shared, repository, clock });
  const { loadDegradation } = repository;
  let reads = 0;
  repository.loadDegradation = async (org) => {
    reads += 1;
    if (reads === 1) throw new Error('away');
    return await loadDegradation(org);
  };
  await expect(degradation.standing('acme')).rejects.toThrow('away');
  const readsAt = async (at: number) => {
    clock.at = at;
    expect(await degradation.standing('acme')).toEqual({ stage: 'warned', level: 0 });
    return reads;
  };
  expect(await readsAt(START + 1)).toBe(2);
  expect(await readsAt(START + 1_000)).toBe(2);
  expect(await readsAt(START + 1_001)).toBe(3);
  expect(await readsAt(START + 1_000)).toBe(4);
});

it('D4: goes by the clock that is behind, be it the process’ or the repository’s', async () => {
  for (const [process, repository] of [
    [START + 14 * DAY, START + 13 * DAY],
    [START + 13 * DAY, START + 14 * DAY],
  ] as const) {
    const shared = await acmeOver();
    shared.clock.at = repository;
    const { degradation } = lifecycleOnMemory({}, { ...shared, clock: testClock(process) });
    expect(await degradation.standing('acme')).toEqual({ stage: 'warned', level: 0 });
  }
});
