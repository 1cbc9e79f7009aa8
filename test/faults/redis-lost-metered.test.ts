import { describe, expect, it } from 'vitest';
import { gate } from '../guard/guard-scene.ts';
import { waitUntil } from '../support/services.ts';
import { frameworks, redisApp } from './redis-app.ts';
import { answersAgain, ownRedis, restarted } from './redis-servers.ts';

describe.each(frameworks)('when Redis comes back empty a guard on %s', (framework) => {
  it.each(['while Redis is away', 'when Redis is back'])(
    'adds metered units that were held at the loss when their handler ends %s (F10)',
    async (when) => {
      const redis = await ownRedis();
      const app = await redisApp(framework, { url: redis.url });
      const used = async () => {
        const { items } = await app.billing.usage({ org: 'acme' });
        return items.find(({ key }) => key === 'door_opens')?.current;
      };
      const finish = gate();
      const running = await app.begin({ keys: ['door_opens'], until: finish.opened });
      await redis.kill('SIGKILL');
      if (when === 'while Redis is away') {
        finish.open();
        expect((await running.answer).status).toBe(201);
        await waitUntil('its end was not heard', async () => (await app.create()).status === 503);
      }
      await restarted(redis);
      await answersAgain(app);
      finish.open();
      await running.answer;
      await app.fill(1, { keys: ['door_opens'], org: 'passer-by' });
      await app.fill(1);
      await app.countsTheRows();
      expect(await used()).toBe(1);
    },
  );
});
