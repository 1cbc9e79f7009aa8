import { afterAll, beforeAll, describe, it } from 'vitest';
import { frameworks } from './redis-app.ts';
import { APPEND_ONLY } from './redis-servers.ts';
import { expectExact, expectHealed, SEEDS, storm } from './redis-storm.ts';
import {
  type ClusterWeather,
  type Faults,
  harmlessOnCluster,
  losingOnCluster,
} from './redis-storm-faults.ts';
import { type ThreeMasters, threeMasters } from './redis-three-masters.ts';

let cluster: ThreeMasters;
let storms = 0;

beforeAll(async () => {
  cluster = await threeMasters(APPEND_ONLY);
});
afterAll(() => cluster.stop());

async function stormOverCluster(seed: number, faults: Faults<ClusterWeather>) {
  for (const master of [0, 1, 2]) await cluster.consoleOf(master).flushall();
  storms += 1;
  const store = { client: cluster.client, prefix: `storm${storms}`, timeoutMs: 500 };
  const stores = frameworks.map(() => store);
  return storm(seed, faults, stores, (weather) => ({ ...weather, cluster }));
}

describe.each(SEEDS)('in storm %i over a Redis Cluster, with four processes under load', (seed) => {
  it('no limit is overrun, nothing is forgotten and no room is lost while it keeps what it acknowledged (Q1, Q3, Q8, Q13, F18)', async () => {
    await expectExact(await stormOverCluster(seed, harmlessOnCluster));
  }, 120_000);

  it('only creates that ran at a loss can exceed a limit, and counts are the truth again (Q1x, Q8, Q9, F18)', async () => {
    await expectHealed(await stormOverCluster(seed, { ...losingOnCluster, ...harmlessOnCluster }));
  }, 120_000);
});
