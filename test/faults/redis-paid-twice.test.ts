import { describe, expect, it } from 'vitest';
import { gate } from '../guard/guard-scene.ts';
import { waitUntil } from '../support/services.ts';
import { frameworks, redisApp } from './redis-app.ts';
import { answersAgain, linkTo, ownRedis } from './redis-servers.ts';

describe.each(frameworks)('after an outage of Redis a guard on %s', (framework) => {
  it("charges metered use of 'open' once when the reply to its payment is lost (F13, Q3)", async () => {
    const redis = await ownRedis();
    const link = await linkTo(redis);
    const app = await redisApp(framework, { url: link.url });
    const witness = await redisApp(framework, { url: redis.url, timeoutMs: 2_000 });
    const used = async (of: typeof app) => {
      const { items } = await of.billing.usage({ org: 'acme' });
      return items.find(({ key }) => key === 'door_opens')?.current;
    };
    await app.fill(1, { keys: ['door_opens'] });
    link.cut();
    for (let made = 0; made < 2; made += 1)
      expect((await app.create({ keys: ['door_opens'], policy: 'open' })).status).toBe(201);
    link.restore();
    await answersAgain(app);
    const finish = gate();
    // Its guard is answered, which begins the payment; the reply to the payment is lost.
    const passerBy = await app.begin({ org: 'passer-by', until: finish.opened });
    link.dropReplies(true);
    await waitUntil('Redis has booked it', async () => (await used(witness)) === 3);
    // Told that the store is away, the engine keeps what it owes, and pays again later.
    await waitUntil(
      'the engine was told',
      async () => (await app.create({ org: 'passer-by' })).status === 503,
    );
    link.cut();
    link.restore();
    await answersAgain(app);
    finish.open();
    await passerBy.answer;
    await app.fill(1, { org: 'passer-by' });
    await app.countsTheRows('passer-by');
    await app.fill(1, { org: 'passer-by' });
    await app.countsTheRows('passer-by');
    expect(await used(app)).toBe(3);
  });
});
