import { describe, it } from 'vitest';
import { frameworks } from './redis-app.ts';
import { APPEND_ONLY, consoleOf, linkTo, ownRedis } from './redis-servers.ts';
import { expectExact, expectHealed, SEEDS, storm } from './redis-storm.ts';
import { type Faults, harmless, losing, type NodeWeather } from './redis-storm-faults.ts';

async function stormOverRedis(seed: number, faults: Faults<NodeWeather>) {
  const redis = await ownRedis({ args: APPEND_ONLY });
  const links = await Promise.all(frameworks.map(() => linkTo(redis)));
  const console = consoleOf(redis);
  return storm(seed, faults, links, (weather) => ({ ...weather, redis, links, console }));
}

describe.each(SEEDS)('in storm %i over Redis, with four processes under load', (seed) => {
  it('no limit is overrun, nothing is forgotten and no room is lost while Redis keeps what it acknowledged (Q1, Q3, Q8, Q13, F9, F11-F14, F20)', async () => {
    await expectExact(await stormOverRedis(seed, harmless));
  }, 60_000);

  it('only creates that ran at a loss can exceed a limit, and counts are the truth again (Q1x, Q8, Q9, F10, F15, F16)', async () => {
    await expectHealed(await stormOverRedis(seed, { ...losing, ...harmless }));
  }, 60_000);
});
