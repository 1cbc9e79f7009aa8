import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AppProcess, frameworks, type ProcessScene, processScene } from './process-scene.ts';

const PROCESSES = 4;
const LIMIT = 100;

let scene: ProcessScene;
let peers: readonly AppProcess[];

beforeAll(async () => {
  scene = await processScene({ limit: LIMIT, leaseMs: 30_000 });
  peers = await Promise.all(Array.from({ length: PROCESSES }, () => scene.start()));
});
afterAll(() => scene.close());

describe.each(frameworks)('four processes on %s', (framework) => {
  /** Creates on all processes at once; answers how often each status came. */
  async function race(org: string, each: number, answer = 201): Promise<Record<string, number>> {
    const { create } = scene.on(framework);
    const tries = peers.flatMap((one) =>
      Array.from({ length: each }, () => create(one.on(framework), org, answer)),
    );
    const statuses: Record<string, number> = {};
    for (const status of await Promise.all(tries)) statuses[`${status}`] = (statuses[`${status}`] ?? 0) + 1;
    return statuses;
  }

  it('with 200 simultaneous creates each admit exactly as many as the limit (Q1)', async () => {
    expect(await race('acme', 200)).toEqual({ 201: LIMIT, 429: PROCESSES * 200 - LIMIT });
    expect(await scene.on(framework).rows('acme')).toBe(LIMIT);
    await scene.on(framework).settles('acme', { committed: LIMIT, held: 0, uncertain: 0 });
  });

  it.each([
    ['refused with 422', 422, 0],
    ['failed with 500', 500, LIMIT],
  ])('whose creates were all %s can create as many again (T24, T25)', async (_what, answer, uncertain) => {
    const org = `answered-${answer}`;
    expect(await race(org, LIMIT / PROCESSES, answer)).toEqual({ [answer]: LIMIT });
    await scene.on(framework).settles(org, { committed: 0, held: 0, uncertain });
    expect(await race(org, 50)).toEqual({ 201: LIMIT, 429: PROCESSES * 50 - LIMIT });
    expect(await race(org, 5)).toEqual({ 429: PROCESSES * 5 });
    expect(await scene.on(framework).rows(org)).toBe(LIMIT);
  });
});
