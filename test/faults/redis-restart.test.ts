import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gate } from '../guard/guard-scene.ts';
import { type RedisServer, waitUntil } from '../support/services.ts';
import { expectUnavailable, frameworks, median, type RedisApp, redisApp, slowest } from './redis-app.ts';
import { APPEND_ONLY, answersAgain, consoleOf, keysOfOrg, ownRedis, restarted } from './redis-servers.ts';

/** The file that commands are appended to. */
function appendOnlyFile({ dir }: RedisServer): string {
  const folder = join(dir, 'appendonlydir');
  return join(folder, readdirSync(folder).find((name) => name.endsWith('.incr.aof')) ?? '');
}

const losses: Readonly<Record<string, (redis: RedisServer, app: RedisApp) => Promise<unknown>>> = {
  'SIGKILL and a restart with nothing': async (redis, app) => {
    await redis.kill('SIGKILL');
    await restarted(redis);
    await answersAgain(app);
  },
  FLUSHALL: (redis) => consoleOf(redis).flushall(),
  'DEL of the keys of the org': async (redis) => {
    const client = consoleOf(redis);
    expect(await client.del(await keysOfOrg(client, 'acme'))).toBeGreaterThan(0);
  },
};

describe.each(frameworks)('on %s', (framework) => {
  it('while a killed Redis is away a create is 503 within the time-out; back with its file it counts the same, nothing is recounted and the app was not restarted (F9)', async () => {
    const redis = await ownRedis({ args: APPEND_ONLY });
    const app = await redisApp(framework, { url: redis.url }, { limits: { devices: 6 } });
    await app.fill(3);
    const finish = gate();
    const running = await app.begin({ until: finish.opened });
    const before = { committed: 3, held: 1, uncertain: 0 };
    await waitUntil('three are counted', async () => (await app.reading())?.committed === 3);
    expect(await app.reading()).toEqual(before);
    const asked = app.host.asked();
    await redis.kill('SIGKILL');

    const away = await Promise.all([1, 2, 3].map(() => app.create()));
    for (let tries = 0; tries < 5; tries += 1) away.push(await app.create());
    for (const outcome of away) expectUnavailable(outcome);
    expect(median(away)).toBeLessThan(250);
    expect(slowest(away)).toBeLessThan(1_000);

    await restarted(redis, APPEND_ONLY);
    await waitUntil('the store says what it said before', async () => {
      expect(await app.reading()).toEqual(before);
      return true;
    });
    finish.open();
    expect((await running.answer).status).toBe(201);
    await app.fill(1);
    await app.countsTheRows();
    expect(app.host.asked(), 'counts came from the file').toBe(asked);
    expect(await app.fillUp()).toBe(1);
    expect(app.host.of()).toBe(6);
    expect(app.started(), 'no refused create ran').toBe(6);
  });

  it('a file whose end a power failure took is noticed: what is missing is recounted before anyone is let in (F9)', async () => {
    const redis = await ownRedis({ args: APPEND_ONLY });
    const app = await redisApp(framework, { url: redis.url }, { limits: { devices: 6 } });
    await app.fill(2);
    await app.countsTheRows();
    const file = appendOnlyFile(redis);
    const written = statSync(file).size;
    await app.fill(2);
    await app.countsTheRows();
    const asked = app.host.asked();
    await redis.kill('SIGKILL');
    expect(statSync(file).size).toBeGreaterThan(written);
    truncateSync(file, written);
    await restarted(redis, APPEND_ONLY);

    expect(await app.fillUp()).toBe(2);
    expect(app.host.of()).toBe(6);
    expect(app.host.asked()).toBeGreaterThan(asked);
    await app.countsTheRows();
  });

  it.each(Object.entries(losses))(
    'after %s the host is asked once before anyone is let in, and rows, running creates and new ones fit the limit (F10, Q1, Q9)',
    async (_loss, lose) => {
      const redis = await ownRedis();
      const app = await redisApp(framework, { url: redis.url }, { limits: { devices: 8 } });
      const { host } = app;
      await app.fill(3);
      const finish = gate();
      const running = [await app.begin({ until: finish.opened }), await app.begin({ until: finish.opened })];
      // A row that no guard saw: the inventory alone knows of it.
      host.add('acme', 'devices');
      await lose(redis, app);

      const counting = gate();
      host.slowDown('acme', counting.opened);
      const [asked, started] = [host.asked(), app.started()];
      const wave = Array.from({ length: 10 }, () => app.create());
      await waitUntil('the host is asked', () => host.asked() > asked);
      await app.fill(3, { org: 'other' });
      expect(app.started() - 3, 'nobody is let in on a count that is not known').toBe(started);
      expect(host.asked(), 'all wait for one count').toBe(asked + 1);
      counting.open();

      const outcomes = await Promise.all(wave);
      for (const outcome of outcomes) if (outcome.status >= 500) expectUnavailable(outcome);
      expect(outcomes.filter(({ status }) => status === 201).length).toBeLessThanOrEqual(2);
      expect(host.of()).toBeLessThanOrEqual(6);
      finish.open();
      for (const { answer } of running) expect((await answer).status).toBe(201);
      await app.fillUp();
      expect(host.of()).toBe(8);
      await app.countsTheRows();
    },
  );
});
