import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AppProcess, frameworks, type ProcessScene, processScene } from './process-scene.ts';

/** Long enough that whoever looks right after a process' end is there before its leases end, however busy the machine is. */
const LEASE_MS = 8_000;
const IN_FLIGHT = 100;

let scene: ProcessScene;
let link: Awaited<ReturnType<ProcessScene['link']>>;
let patient: AppProcess;
let impatient: AppProcess;

beforeAll(async () => {
  scene = await processScene({ limit: IN_FLIGHT, leaseMs: LEASE_MS });
  link = await scene.link();
  const holds = { ending: 'running', stuck: 'running' } as const;
  [patient, impatient] = await Promise.all([
    scene.start({ holds, countersUrl: link.url }),
    scene.start({ holds, graceMs: 500 }),
  ]);
});
afterAll(() => scene.close());

/** On each framework, a create of an org in flight for each status that its handler will answer. */
async function inFlight(peer: AppProcess, org: string, statuses: readonly number[]) {
  for (const framework of frameworks) await scene.on(framework).haveRows(org, 0);
  const flights = frameworks.map((framework) => {
    const site = scene.on(framework);
    const app = peer.on(framework);
    return { ...site, framework, app, answers: statuses.map((status) => site.create(app, org, status)) };
  });
  for (const { app } of flights) await app.reached(org, statuses.length);
  return flights;
}

const times = (count: number, status: number) => Array.from({ length: count }, () => status);

describe('on Express and on Koa, a process that is asked to end with 100 requests in flight', () => {
  it('takes no more, lets them end, settles each and is gone (F33)', async () => {
    const statuses = [...times(50, 201), ...times(30, 422), ...times(20, 500)];
    const flights = await inFlight(patient, 'ending', statuses);
    // The last answers are given well before what they settle has reached Redis.
    link.delay(200);
    const askedAt = performance.now();
    await patient.terminate();
    for (const { app, create } of flights) expect(await create(app, 'late')).toBeNull();
    for (const { app } of flights) app.letGo('ending');
    for (const { answers } of flights) expect(await Promise.all(answers)).toEqual(statuses);
    expect(await patient.ended).toBe(0);
    expect(performance.now() - askedAt).toBeLessThan(10_000);

    for (const { framework, reading, fillUp, rows } of flights) {
      expect(await reading('ending'), framework).toEqual({ committed: 50, held: 0, uncertain: 20 });
      expect(await fillUp('ending'), `${framework}: all that was not created is free`).toBe(50);
      expect(await rows('ending'), framework).toBe(IN_FLIGHT);
    }
  });

  it('is gone in time although they do not end, and their units are free when its leases are over (F33, Q5)', async () => {
    const flights = await inFlight(impatient, 'stuck', times(IN_FLIGHT, 201));
    const askedAt = performance.now();
    await impatient.terminate();
    expect(await impatient.ended).toBe(0);
    expect(performance.now() - askedAt).toBeLessThan(10_000);

    const check = async ({
      framework,
      here,
      answers,
      create,
      reading,
      leasesRunOut,
      fillUp,
    }: (typeof flights)[0]) => {
      expect(await reading('stuck'), framework).toEqual({ committed: 0, held: IN_FLIGHT, uncertain: 0 });
      expect(await create(here, 'stuck'), `${framework}: they might have written rows`).toBe(429);
      expect(new Set(await Promise.all(answers)), framework).toEqual(new Set([null]));
      await leasesRunOut();
      expect(await reading('stuck'), framework).toEqual({ committed: 0, held: 0, uncertain: IN_FLIGHT });
      expect(await fillUp('stuck'), framework).toBe(IN_FLIGHT);
    };
    await Promise.all(flights.map(check));
  });
});
