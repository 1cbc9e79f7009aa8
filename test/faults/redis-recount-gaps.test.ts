import { describe, expect, it } from 'vitest';
import { gate } from '../guard/guard-scene.ts';
import { frameworks, redisApp } from './redis-app.ts';
import { answersAgain, linkTo, ownRedis } from './redis-servers.ts';

describe.each(frameworks)('in an outage of Redis a guard on %s', (framework) => {
  it("under 'recount' leaves room for creates of this process that were let in before the outage and are still running (Q1)", async () => {
    const link = await linkTo(await ownRedis());
    const app = await redisApp(framework, { url: link.url }, { limits: { devices: 3 } });
    await app.fill(2);
    const finish = gate();
    const running = await app.begin({ until: finish.opened });
    link.cut();
    const { status } = await app.create({ policy: 'recount' });
    finish.open();
    await running.answer;
    expect({ status, rows: app.host.of() }).toEqual({ status: 429, rows: 3 });
  });

  it.each(['recount', 'open'] as const)(
    "counts what was let in under '%s' before it lets in more when Redis is back (Q1)",
    async (policy) => {
      const link = await linkTo(await ownRedis());
      const app = await redisApp(framework, { url: link.url }, { limits: { devices: 5 } });
      await app.fill(2);
      link.cut();
      for (let made = 0; made < 3; made += 1) expect((await app.create({ policy })).status).toBe(201);
      expect(app.host.of(), 'exactly the limit').toBe(5);
      link.restore();
      await answersAgain(app);
      const { status } = await app.create();
      expect({ status, rows: app.host.of() }).toEqual({ status: 429, rows: 5 });
    },
  );
});
