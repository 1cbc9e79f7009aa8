import { redisCounterStore } from '@tollgate/redis';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { frameworks, silent } from './redis-app.ts';
import type { Dice } from './redis-dice.ts';
import { APPEND_ONLY } from './redis-servers.ts';
import { type ThreeMasters, threeMasters } from './redis-three-masters.ts';
import {
  around,
  expectExact,
  expectHealed,
  type Faults,
  oneOf,
  SEEDS,
  storm,
  type Weather,
} from './storm.ts';

/** Over a Redis Cluster, whose masters keep what they acknowledged as well. */
interface ClusterWeather extends Weather {
  readonly cluster: ThreeMasters;
}

/** After these every master has everything that it acknowledged. */
const harmless: Faults<ClusterWeather> = {
  async 'a master hangs'({ cluster, dice }) {
    const master = anyMaster(dice);
    await cluster.signal(master, 'SIGSTOP');
    await dice.chance(15);
    await cluster.signal(master, 'SIGCONT');
  },
  async 'a master forgets scripts and functions'({ cluster, dice }) {
    const console = cluster.consoleOf(anyMaster(dice));
    await console.call('FUNCTION', 'FLUSH');
    await console.script('FLUSH');
  },
  async 'a master throws its clients out'({ cluster, dice }) {
    await cluster.consoleOf(anyMaster(dice)).call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  },
  async "a master's memory is full"({ cluster, dice }) {
    const console = cluster.consoleOf(anyMaster(dice));
    await console.config('SET', 'maxmemory', '1');
    await dice.chance(10);
    await console.config('SET', 'maxmemory', '0');
  },
  async 'a slot moves'({ cluster, dice, orgs }) {
    const { master, slot } = await waitUntil('an org has counts', () =>
      cluster.placeOf(oneOf(dice, orgs)).catch(() => null),
    );
    await cluster.moveSlot(slot, master, (master + 1 + Math.floor(2 * dice.next())) % 3, () =>
      dice.chance(1),
    );
  },
  async 'a master is killed and starts anew'({ cluster, dice }) {
    const master = anyMaster(dice);
    await cluster.kill(master);
    await dice.chance(15);
    await cluster.restart(master);
  },
};

/** After these a master lacks some of what it acknowledged. */
const losing: Faults<ClusterWeather> = {
  'a master is flushed': ({ cluster, dice, orgs, loses }) =>
    around(loses, orgs, () => cluster.consoleOf(anyMaster(dice)).flushall()),
  async 'a master starts anew with nothing'({ cluster, dice, orgs, loses }) {
    const master = anyMaster(dice);
    await around(loses, orgs, async () => {
      await cluster.kill(master);
      await cluster.restart(master, 'empty');
    });
  },
};

const anyMaster = (dice: Dice) => Math.floor(3 * dice.next());

let cluster: ThreeMasters;
let storms = 0;

beforeAll(async () => {
  cluster = await threeMasters(APPEND_ONLY);
});
afterAll(() => cluster.stop());

async function stormOverCluster(seed: number, faults: Faults<ClusterWeather>) {
  for (const master of [0, 1, 2]) await cluster.consoleOf(master).flushall();
  storms += 1;
  const options = { client: cluster.client, prefix: `storm${storms}`, timeoutMs: 500, logger: silent };
  const stores = frameworks.map(() => redisCounterStore(options));
  return storm(seed, faults, stores, (weather) => ({ ...weather, cluster }));
}

describe.each(SEEDS)('in storm %i over a Redis Cluster, with four processes under load', (seed) => {
  it('no limit is overrun, nothing is forgotten and no room is lost while it keeps what it acknowledged (Q1, Q3, Q8, Q13, F18)', async () => {
    await expectExact(await stormOverCluster(seed, harmless));
  }, 120_000);

  it('only creates that ran at a loss can exceed a limit, and counts are the truth again (Q1x, Q8, Q9, F18)', async () => {
    await expectHealed(await stormOverCluster(seed, { ...losing, ...harmless }));
  }, 120_000);
});
