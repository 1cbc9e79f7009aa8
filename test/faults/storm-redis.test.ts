import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { redisCounterStore } from '@tollgate/redis';
import type { Redis } from 'ioredis';
import { describe, it } from 'vitest';
import type { RedisServer, TcpProxy } from '../support/services.ts';
import { frameworks, silent } from './redis-app.ts';
import { APPEND_ONLY, consoleOf, keysOfOrg, linkTo, ownRedis, restarted } from './redis-servers.ts';
import {
  around,
  expectExact,
  expectHealed,
  type Faults,
  oneOf,
  onLinks,
  SEEDS,
  storm,
  type Weather,
} from './storm.ts';

/** Over one Redis. */
interface NodeWeather extends Weather {
  /** Keeps all that it acknowledged in its append-only file; another one after each restart. */
  redis: RedisServer;
  /** A link for each process. */
  readonly links: readonly TcpProxy[];
  /** An operator's console. */
  readonly console: Redis;
}

async function restart(weather: NodeWeather, meanwhile: () => void = () => {}): Promise<void> {
  await weather.redis.kill('SIGKILL');
  meanwhile();
  weather.redis = await restarted(weather.redis, APPEND_ONLY);
}

/** After these Redis has everything that it acknowledged. */
const harmless: Faults<NodeWeather> = {
  async 'Redis hangs'({ redis, dice }) {
    await redis.kill('SIGSTOP');
    await dice.chance(15);
    await redis.kill('SIGCONT');
  },
  ...onLinks,
  async 'scripts and functions are forgotten'({ console }) {
    await console.call('FUNCTION', 'FLUSH');
    await console.script('FLUSH');
  },
  async 'clients are thrown out'({ console }) {
    await console.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  },
  async 'memory is full'({ console, dice }) {
    await console.config('SET', 'maxmemory', '1');
    await dice.chance(10);
    await console.config('SET', 'maxmemory', '0');
  },
  'Redis is killed and starts anew': (weather) => restart(weather),
};

/** After these Redis lacks some of what it acknowledged, or cannot be sure that it does not. */
const losing: Faults<NodeWeather> = {
  'everything is flushed': ({ console, orgs, loses }) => around(loses, orgs, () => console.flushall()),
  async "an org's keys are deleted"({ console, dice, orgs, loses }) {
    const org = oneOf(dice, orgs);
    const keys = await keysOfOrg(console, org);
    if (keys.length > 0) await around(loses, [org], () => console.del(...keys));
  },
  async 'a key is evicted'({ console, dice, orgs, loses }) {
    const org = oneOf(dice, orgs);
    const keys = await keysOfOrg(console, org);
    if (keys.length > 0) await around(loses, [org], () => console.del(oneOf(dice, keys)));
  },
  'Redis starts anew with nothing': (weather) =>
    around(weather.loses, weather.orgs, () =>
      restart(weather, () =>
        rmSync(join(weather.redis.dir, 'appendonlydir'), { recursive: true, force: true }),
      ),
    ),
  // It has everything, and cannot know that.
  async 'Redis is somebody else for a while'({ console, dice }) {
    await console.replicaof('127.0.0.1', 1);
    await dice.chance(10);
    await console.replicaof('NO', 'ONE');
  },
};

async function stormOverRedis(seed: number, faults: Faults<NodeWeather>) {
  const redis = await ownRedis({ args: APPEND_ONLY });
  const links = await Promise.all(frameworks.map(() => linkTo(redis)));
  const console = consoleOf(redis);
  const stores = links.map(({ url }) => redisCounterStore({ url, logger: silent }));
  return storm(seed, faults, stores, (weather) => ({ ...weather, redis, links, console }));
}

describe.each(SEEDS)('in storm %i over Redis, with four processes under load', (seed) => {
  it('no limit is overrun, nothing is forgotten and no room is lost while Redis keeps what it acknowledged (Q1, Q3, Q8, Q13, F9, F11-F14, F20)', async () => {
    await expectExact(await stormOverRedis(seed, harmless));
  }, 120_000);

  it('only creates that ran at a loss can exceed a limit, and counts are the truth again (Q1x, Q8, Q9, F10, F15, F16)', async () => {
    await expectHealed(await stormOverRedis(seed, { ...losing, ...harmless }));
  }, 120_000);
});
