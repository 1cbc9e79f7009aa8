import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Stage } from './process-host.ts';
import { type AppProcess, frameworks, type ProcessScene, processScene, type Site } from './process-scene.ts';

type Fault = 'F1' | 'F2' | 'F3' | 'F4' | 'F5' | 'F6';

/** Where the last create of a process waits; F2 waits for an answer of Redis. */
const HELD_AT: Readonly<Record<Fault, Stage | null>> = {
  F1: 'asked',
  F2: null,
  F3: 'running',
  F4: 'written',
  F5: 'written',
  F6: 'settled',
};
const LEASE_MS = 1_500;
const ORG = 'acme';

let scene: ProcessScene;
const victims = new Map<Fault, { readonly app: AppProcess; readonly silence: () => void }>();

beforeAll(async () => {
  scene = await processScene({ limit: 3, leaseMs: LEASE_MS });
  const starting = (Object.keys(HELD_AT) as Fault[]).map(async (fault) => {
    const at = HELD_AT[fault];
    const link = await scene.link();
    const app = await scene.start({ countersUrl: link.url, holds: at === null ? {} : { [ORG]: at } });
    victims.set(fault, { app, silence: () => link.dropReplies(true) });
  });
  await Promise.all(starting);
});
afterAll(() => scene.close());

/** The host on one framework, whose other process died. */
interface Death extends Site {
  readonly framework: string;
  readonly sentAt: number;
  readonly diedAt: number;
  /** What the client saw of the create. */
  readonly answer: number | null;
}

/** On each framework, an org with one row and the create of a second one; the process of both dies at one point of them. */
async function dies(fault: Fault): Promise<readonly Death[]> {
  const victim = victims.get(fault);
  if (victim === undefined) throw new Error('There is no such process.');
  const { app, silence } = victim;
  for (const framework of frameworks) await scene.on(framework).haveRows(ORG, 1);

  if (fault === 'F2') silence();
  const creates = frameworks.map((framework) => {
    const site = scene.on(framework);
    return { ...site, framework, sentAt: performance.now(), answer: site.create(app.on(framework), ORG) };
  });
  for (const { framework, settles } of creates) {
    if (fault === 'F2') await settles(ORG, { held: 1 });
    else await app.on(framework).reached(ORG);
  }
  if (fault === 'F5') {
    silence();
    for (const { framework } of creates) app.on(framework).letGo(ORG);
    for (const { settles } of creates) await settles(ORG, { committed: 2 });
  }
  await app.kill('SIGKILL');
  const diedAt = performance.now();
  return Promise.all(creates.map(async (create) => ({ ...create, diedAt, answer: await create.answer })));
}

describe('on Express and on Koa, a process that is killed', () => {
  it('before its reserve is sent has taken nothing (F1)', async () => {
    const check = async (site: Death) => {
      expect(site.answer, site.framework).toBeNull();
      expect(await site.reading(ORG), site.framework).toEqual({ committed: 1, held: 0, uncertain: 0 });
      await site.leasesRunOut();
      expect(await site.reading(ORG), site.framework).toEqual({ committed: 1, held: 0, uncertain: 0 });
      expect(await site.fillUp(ORG), site.framework).toBe(2);
      expect(await site.rows(ORG), site.framework).toBe(3);
    };
    await Promise.all((await dies('F1')).map(check));
  });

  it.each([
    ['after its reserve was sent', 'F2'],
    ['after its reserve was acknowledged', 'F3'],
  ] as const)(
    '%s keeps its unit to the end of its lease and hardly longer (%s, Q5)',
    async (_when, fault) => {
      const check = async (site: Death) => {
        const { framework, sentAt, diedAt } = site;
        expect(site.answer, framework).toBeNull();
        expect(await site.reading(ORG), framework).toEqual({ committed: 1, held: 1, uncertain: 0 });
        expect(await site.fillUp(ORG), `${framework}: what is left beside it`).toBe(1);
        const { at, refusals } = await site.whenFree(ORG);
        expect(at - sentAt, framework).toBeGreaterThanOrEqual(LEASE_MS);
        expect(at - diedAt, framework).toBeLessThan(LEASE_MS + 1_000);
        expect([...refusals], framework).toEqual([429]);
        expect(await site.fillUp(ORG), framework).toBe(0);
        expect(await site.rows(ORG), framework).toBe(3);
        await site.settles(ORG, { committed: 3, held: 0, uncertain: 0 });
      };
      await Promise.all((await dies(fault)).map(check));
    },
  );

  it('after its row was written leaves a unit in doubt, which the next decision counts from the rows (F4)', async () => {
    const check = async (site: Death) => {
      const { framework } = site;
      expect(site.answer, framework).toBeNull();
      expect(await site.rows(ORG), framework).toBe(2);
      expect(await site.reading(ORG), framework).toEqual({ committed: 1, held: 1, uncertain: 0 });
      expect(await site.fillUp(ORG), framework).toBe(1);
      await site.leasesRunOut();
      await site.settles(ORG, { committed: 2, held: 0, uncertain: 1 });
      expect(await site.fillUp(ORG), `${framework}: the row that nobody settled counts`).toBe(0);
      expect(await site.reading(ORG), framework).toEqual({ committed: 3, held: 0, uncertain: 0 });
      expect(await site.rows(ORG), framework).toBe(3);
    };
    await Promise.all((await dies('F4')).map(check));
  });

  it('after it answered, and before its commit was told, has its metered units given back or charged, as its guard says', async () => {
    const orgs = ['released', 'charged'];
    const app = await scene.start({ holds: Object.fromEntries(orgs.map((org) => [org, 'answered'])) });
    const creates = frameworks.flatMap((framework) =>
      orgs.map((org) => ({ framework, org, site: scene.on(framework) })),
    );
    const answers = creates.map(({ framework, org, site }) =>
      site.create(app.on(framework), org, 201, 'scans'),
    );
    for (const { framework, org } of creates) await app.on(framework).reached(org);
    await app.kill('SIGKILL');
    for (const answer of answers) expect([201, null]).toContain(await answer);
    const check = async ({ framework, org, site }: (typeof creates)[number]) => {
      const untilFull = async () => {
        for (let made = 0; ; made += 1)
          if ((await site.create(site.here, org, 201, 'scans')) === 429) return made;
      };
      const atOnce = await untilFull();
      await site.leasesRunOut();
      expect([atOnce, await untilFull()], `${org} on ${framework}`).toEqual([2, org === 'released' ? 1 : 0]);
    };
    await Promise.all(creates.map(check));
  });

  it.each([
    ['after its commit was sent', 'F5'],
    ['after its commit was acknowledged', 'F6'],
  ] as const)('%s has its row counted once (%s, Q3)', async (_when, fault) => {
    const check = async (site: Death) => {
      const { framework } = site;
      expect(await site.rows(ORG), framework).toBe(2);
      expect(await site.reading(ORG), framework).toEqual({ committed: 2, held: 0, uncertain: 0 });
      await site.leasesRunOut();
      expect(await site.reading(ORG), framework).toEqual({ committed: 2, held: 0, uncertain: 0 });
      expect(await site.fillUp(ORG), framework).toBe(1);
      expect(await site.rows(ORG), framework).toBe(3);
    };
    await Promise.all((await dies(fault)).map(check));
  });
});
