import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { type AppProcess, frameworks, type ProcessScene, processScene } from './process-scene.ts';

const MINUTE_MS = 60_000;
const CLOCKS: Readonly<Record<string, number>> = {
  'ten-minutes-ahead': 10 * MINUTE_MS,
  'ten-minutes-behind': -10 * MINUTE_MS,
  'a-day-ahead': 1_440 * MINUTE_MS,
  'a-day-behind': -1_440 * MINUTE_MS,
};
const LEASE_MS = 1_500;
const LIMIT = 40;

let scene: ProcessScene;
const peers = new Map<string, AppProcess>();

beforeAll(async () => {
  scene = await processScene({ limit: LIMIT, leaseMs: LEASE_MS });
  const starting = Object.entries(CLOCKS).map(async ([name, clockOffMs]) => {
    const peer = await scene.start({
      clockOffMs,
      holds: { [`runs-${name}`]: 'running', [`dies-${name}`]: 'running' },
    });
    expect(Math.abs(peer.clockOffMs - clockOffMs), 'its clock is off').toBeLessThan(MINUTE_MS);
    peers.set(name, peer);
  });
  await Promise.all(starting);
});
afterAll(() => scene.close());

describe.each(frameworks)('processes on %s whose clocks are wrong by minutes and days', (framework) => {
  it('share a limit exactly (F30, Q1)', async () => {
    const { here, create, rows, settles } = scene.on(framework);
    const doors = [here, ...[...peers.values()].map((peer) => peer.on(framework))];
    const tries = doors.flatMap((door) => Array.from({ length: LIMIT }, () => create(door, 'shared')));
    const statuses = await Promise.all(tries);
    expect(statuses.filter((status) => status === 201)).toHaveLength(LIMIT);
    expect(statuses.filter((status) => status === 429)).toHaveLength(LIMIT * (doors.length - 1));
    expect(await rows('shared')).toBe(LIMIT);
    await settles('shared', { committed: LIMIT, held: 0, uncertain: 0 });
  });

  it('count metered use in the day that they take for today, each day up to its limit (F30, Q1)', async () => {
    const { here, create } = scene.on(framework);
    const doors = [
      { door: here, offMs: 0 },
      ...[...peers].map(([name, peer]) => ({ door: peer.on(framework), offMs: CLOCKS[name] ?? 0 })),
    ];
    const days = () => doors.map(({ offMs }) => new Date(Date.now() + offMs).toISOString().slice(0, 10));
    let [org, before] = ['', ['']];
    let statuses: (readonly (number | null)[])[] = [];
    do {
      org += 's';
      before = days();
      const tries = doors.map(({ door }) =>
        Promise.all(Array.from({ length: LIMIT }, () => create(door, org, 201, 'scans'))),
      );
      statuses = await Promise.all(tries);
      // Nobody's midnight may come in between.
    } while (String(days()) !== String(before));

    for (const day of new Set(before)) {
      const answered = statuses.flatMap((some, i) => (before[i] === day ? some : []));
      expect(answered.filter((status) => status === 201).length, day).toBe(LIMIT);
      expect(answered.filter((status) => status === 429).length, day).toBe(answered.length - LIMIT);
      await waitUntil(`all scans of ${day} are counted`, async () => {
        const counters = [{ key: 'scans', window: `day:${day}` }];
        const [reading] = await here.counters.read({ org, counters });
        return reading?.committed === LIMIT && reading.held === 0;
      });
    }
    expect(new Set(before).size, 'three days').toBeGreaterThanOrEqual(3);
  });

  it("take another's lease for over when it is, and keep their own alive (F30, Q5)", async () => {
    const site = scene.on(framework);
    const check = async ([name, peer]: readonly [string, AppProcess]) => {
      const app = peer.on(framework);
      const [own, other] = [`runs-${name}`, `judged-${name}`];
      const running = site.create(app, own);
      await app.reached(own);

      await site.haveRows(other, 0);
      const before = performance.now();
      await site.here.billing.reserve({ org: other, charges: [{ key: 'devices', amount: LIMIT }] });
      const after = performance.now();
      const { at, refusals } = await site.whenFree(other, app);
      expect(at - before, name).toBeGreaterThanOrEqual(LEASE_MS);
      expect(at - after, name).toBeLessThan(LEASE_MS + 1_000);
      expect([...refusals], name).toEqual([429]);

      expect(await site.reading(own), `${name}: longer than a lease`).toMatchObject({ held: 1 });
      app.letGo(own);
      expect(await running).toBe(201);
      await site.settles(own, { committed: 1, held: 0, uncertain: 0 });
    };
    await Promise.all([...peers].map(check));
  });
});

it('processes, on Express and on Koa, whose clocks are wrong by minutes and days hold a lease as long as any other when they die (F30, Q5)', async () => {
  const check = async ([name, peer]: readonly [string, AppProcess]) => {
    const org = `dies-${name}`;
    const sites = frameworks.map((framework) => ({ ...scene.on(framework), app: peer.on(framework) }));
    for (const { haveRows } of sites) await haveRows(org, LIMIT - 1);
    const sentAt = performance.now();
    const answers = sites.map(({ create, app }) => create(app, org));
    for (const { app } of sites) await app.reached(org);
    await peer.kill('SIGKILL');
    const diedAt = performance.now();
    expect(new Set(await Promise.all(answers)), name).toEqual(new Set([null]));
    for (const { at, refusals } of await Promise.all(sites.map(({ whenFree }) => whenFree(org)))) {
      expect(at - sentAt, name).toBeGreaterThanOrEqual(LEASE_MS);
      expect(at - diedAt, name).toBeLessThan(LEASE_MS + 1_000);
      expect([...refusals], name).toEqual([429]);
    }
  };
  await Promise.all([...peers].map(check));
});
