import { once } from 'node:events';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { type AppProcess, frameworks, type ProcessScene, processScene } from './process-scene.ts';

const LIMIT = 50;
const ROUNDS = 20;

/** Sends a create as a client that will not wait for the answer. */
function hasty(url: string, org: string): { readonly sent: Promise<unknown>; leave(): void } {
  const client = request(`${url}/devices`, { method: 'POST', agent: false, headers: { 'x-org': org } });
  client.on('error', () => {});
  client.on('response', (response) => response.resume());
  const sent = once(client, 'finish');
  client.end();
  return { sent, leave: () => void client.destroy() };
}

let scene: ProcessScene;
let peer: AppProcess;

beforeAll(async () => {
  scene = await processScene({ limit: LIMIT, leaseMs: 10_000 });
  peer = await scene.start({ holds: { acme: 'running' } });
});
afterAll(() => scene.close());

describe.each(frameworks)('clients on %s that go away', (framework) => {
  it('1,000 times while their creates run at the limit never free a unit that is still to be used (F8, Q6, T24)', async () => {
    const site = scene.on(framework);
    const app = peer.on(framework);
    await site.haveRows('acme', 0);
    for (let round = 1; round <= ROUNDS; round += 1) {
      const clients = Array.from({ length: LIMIT }, () => hasty(app.url, 'acme'));
      await app.reached('acme', LIMIT);
      for (const client of clients) client.leave();
      await app.clientsGone('acme', LIMIT);
      expect(await site.reading('acme')).toEqual({ committed: 0, held: LIMIT, uncertain: 0 });
      const early = [site.here, app, site.here, app].map((door) => site.create(door, 'acme'));
      expect(await Promise.all(early), 'their handlers still run').toEqual([429, 429, 429, 429]);

      app.letGo('acme');
      await site.settles('acme', { committed: LIMIT, held: 0, uncertain: 0 });
      expect(await site.rows('acme')).toBe(LIMIT);
      expect(await site.create(app, 'acme')).toBe(429);
      expect(await site.rows('acme')).toBe(LIMIT);
      await site.haveRows('acme', 0);
    }
  });

  it('before their creates run have every row counted, and none above the limit (F8, Q8)', async () => {
    const site = scene.on(framework);
    const app = peer.on(framework);
    const clients = Array.from({ length: 200 }, () => hasty(app.url, 'hasty'));
    await Promise.all(clients.map(({ sent, leave }) => sent.then(leave)));
    await waitUntil('the limit is reached', async () => (await site.create(app, 'hasty')) === 429);
    await site.settles('hasty', { committed: LIMIT, held: 0, uncertain: 0 });
    expect(await site.rows('hasty')).toBe(LIMIT);
  });
});
