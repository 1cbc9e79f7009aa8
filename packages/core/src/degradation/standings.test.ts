import { expect, it } from 'vitest';
import { DAY, lifecycleOnMemory, START } from './lifecycle.test-support.ts';

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
