import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AppProcess, frameworks, type ProcessScene, processScene } from './process-scene.ts';

const LEASE_MS = 1_500;
const LIMIT = 5;
const PAUSED = 3;

/** How many of the units of the paused creates others take meanwhile: by so many the rows then pass the limit. */
const TAKEN: Readonly<Record<string, number>> = { all: 3, some: 1, none: 0 };
const ORGS = Object.keys(TAKEN);

let scene: ProcessScene;
let paused: AppProcess;

beforeAll(async () => {
  scene = await processScene({ limit: LIMIT, leaseMs: LEASE_MS });
  paused = await scene.start({ holds: Object.fromEntries(ORGS.map((org) => [org, 'running'])) });
});
afterAll(() => scene.close());

it('a process, on Express and on Koa, that is stopped beyond its lease loses its units, and what it then creates is counted late and reported exactly (F7, Q1x)', async () => {
  const creates = frameworks.flatMap((framework) =>
    ORGS.map((org) => ({ ...scene.on(framework), framework, org, app: paused.on(framework) })),
  );
  for (const { org, haveRows } of creates) await haveRows(org, LIMIT - PAUSED);
  const sentAt = performance.now();
  const answers = creates.flatMap(({ app, org, create }) =>
    Array.from({ length: PAUSED }, () => create(app, org)),
  );
  for (const { app, org } of creates) await app.reached(org, PAUSED);
  await paused.kill('SIGSTOP');
  const stoppedAt = performance.now();

  for (const { org, here, reading, create } of creates) {
    expect(await reading(org)).toEqual({ committed: LIMIT - PAUSED, held: PAUSED, uncertain: 0 });
    expect(await create(here, org)).toBe(429);
  }
  const takeOver = creates.map(async ({ framework, org, here, create, whenFree, fillUp, settles }) => {
    if (org === 'all') {
      const { at, refusals } = await whenFree(org);
      expect(at - sentAt, framework).toBeGreaterThanOrEqual(LEASE_MS);
      expect([...refusals], framework).toEqual([429]);
    }
    await settles(org, { held: 0 });
    expect(performance.now() - stoppedAt, framework).toBeLessThan(LEASE_MS + 1_000);
    if (org === 'all') expect(1 + (await fillUp(org)), `${framework}: all, and no more`).toBe(PAUSED);
    if (org === 'some') expect(await create(here, org)).toBe(201);
  });
  await Promise.all(takeOver);

  await paused.kill('SIGCONT');
  for (const { app, org } of creates) app.letGo(org);
  expect(await Promise.all(answers)).toEqual(answers.map(() => 201));
  await paused.terminate();
  expect(await paused.ended).toBe(0);
  for (const { framework, org, here, create, reading, rows } of creates) {
    const expected = LIMIT + (TAKEN[org] ?? 0);
    expect(await rows(org), framework).toBe(expected);
    const { committed, held, uncertain } = await reading(org);
    expect({ held, used: committed + uncertain }, framework).toEqual({ held: 0, used: expected });
    expect(await create(here, org), framework).toBe(429);
    await here.billing.recount({ org });
    expect(await reading(org), framework).toEqual({ committed: expected, held: 0, uncertain: 0 });
  }
  const excess = creates.reduce((sum, { org }) => sum + (TAKEN[org] ?? 0), 0);
  expect(paused.metric('tollgate.committed_over_limit')).toBe(excess);
});
