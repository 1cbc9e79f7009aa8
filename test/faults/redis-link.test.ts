import { describe, expect, it } from 'vitest';
import { gate } from '../guard/guard-scene.ts';
import { waitUntil } from '../support/services.ts';
import {
  expectUnavailable,
  frameworks,
  median,
  type Outcome,
  redisApp,
  slowest,
  witnessOf,
} from './redis-app.ts';
import { dice } from './redis-dice.ts';
import { answersAgain, linkTo, ownRedis } from './redis-servers.ts';

describe.each(frameworks)('with a link or a Redis that hangs, a guard on %s', (framework) => {
  it('answers 503 within the time-out each time that Redis stops (F11)', async () => {
    const redis = await ownRedis();
    const app = await redisApp(framework, { url: redis.url });
    const outcomes: Outcome[] = [];
    for (let round = 0; round < 7; round += 1) {
      await app.fill(1);
      await redis.kill('SIGSTOP');
      outcomes.push(await app.create());
      await redis.kill('SIGCONT');
    }
    outcomes.forEach(expectUnavailable);
    expect(median(outcomes)).toBeLessThan(250);
    expect(slowest(outcomes)).toBeLessThan(1_000);
    await app.countsTheRows();
    expect(app.host.of()).toBe(7);
  });

  it('answers at once while Redis is known to be stopped, and what Redis does late is harmless (F11)', async () => {
    const redis = await ownRedis();
    const link = await linkTo(redis);
    const app = await redisApp(framework, { url: link.url }, { leaseMs: 1_000 });
    const stored = witnessOf(redis);
    await app.fill(3);
    const finish = gate();
    const running = [];
    for (let made = 0; made < 5; made += 1) running.push(await app.begin({ until: finish.opened }));
    await redis.kill('SIGSTOP');
    const stoppedAt = performance.now();

    const first = await Promise.all(Array.from({ length: 9 }, () => app.create()));
    first.forEach(expectUnavailable);
    expect(slowest(first)).toBeLessThan(1_000);
    finish.open();
    for (const { answer } of running) expect((await answer).status).toBe(201);
    const later: Outcome[] = [];
    while (later.length < 50 || performance.now() - stoppedAt < 1_200) later.push(await app.create());
    later.forEach(expectUnavailable);
    expect(median(later)).toBeLessThan(20);
    expect(slowest(later)).toBeLessThan(1_000);

    // The app hears nothing yet: what Redis holds beside the five that ran is a create that was refused long ago.
    link.dropReplies(true);
    await redis.kill('SIGCONT');
    await waitUntil('a refused create has come through', async () => {
      const { held, uncertain } = (await stored()) ?? { held: 0, uncertain: 0 };
      return held + uncertain > 5;
    });
    await waitUntil('every lease has ended', async () => (await stored())?.held === 0);
    link.cut();
    link.restore();
    await app.fill(1);
    await app.countsTheRows();
    expect(app.host.of()).toBe(9);
    expect(app.started(), 'no refused create ran').toBe(9);
  });

  it('never runs a create whose reply was lost, and gives its units back (F13)', async () => {
    const redis = await ownRedis();
    const link = await linkTo(redis);
    const app = await redisApp(framework, { url: link.url });
    const stored = witnessOf(redis);
    await app.fill(2);
    await app.countsTheRows();
    link.dropReplies(true);
    expectUnavailable(await app.create());
    await waitUntil('Redis has run it', async () => (await stored())?.held === 1);
    link.cut();
    link.restore();
    await answersAgain(app);
    await app.countsTheRows();
    expect(app.host.of()).toBe(2);
    expect(app.started()).toBe(2);
  });

  it.each([201, 422])(
    'counts a create that ended with %i once when the reply to its end was lost (F13, Q3)',
    async (answer) => {
      const redis = await ownRedis();
      const link = await linkTo(redis);
      const app = await redisApp(framework, { url: link.url });
      const stored = witnessOf(redis);
      await app.fill(1);
      await app.countsTheRows();
      const asked = app.host.asked();
      for (let round = 0; round < 2; round += 1) {
        const finish = gate();
        const running = await app.begin({ answer, until: finish.opened });
        link.dropReplies(true);
        finish.open();
        expect((await running.answer).status).toBe(answer);
        await waitUntil('Redis has settled it', async () => (await stored())?.held === 0);
        link.cut();
        link.restore();
        await answersAgain(app);
        await app.countsTheRows();
      }
      expect(app.host.of()).toBe(answer === 201 ? 3 : 1);
      expect(app.host.asked(), 'no recount made it good').toBe(asked);
    },
  );

  it('makes one row of a create that its client repeats after a lost reply (F13, Q3)', async () => {
    const redis = await ownRedis();
    const link = await linkTo(redis);
    const app = await redisApp(framework, { url: link.url });
    await app.fill(1);
    const create = { idempotencyKey: 'one' };
    link.dropReplies(true);
    expectUnavailable(await app.create(create));
    link.cut();
    link.restore();
    await app.fill(2, create);
    expect(app.host.of()).toBe(2);
    await app.countsTheRows();
  });

  it('answers only success or 503 over a slow link with jitter and resets, and every row is counted once (F20, Q3, Q5, Q13)', async () => {
    const redis = await ownRedis();
    const link = await linkTo(redis);
    const limits = { devices: 500, zones: 2 };
    const app = await redisApp(framework, { url: link.url }, { leaseMs: 1_000, limits });
    await app.fill(1);
    await app.fill(2, { keys: ['zones'] });
    const { next, chance } = dice(20);
    // Mostly well within the time-out there and back, now and then beyond it.
    const delay = () => link.delay(Math.floor(next() < 0.1 ? 150 : next() * 40));
    const outcomes: Outcome[] = [];
    const refusals: Outcome[] = [];
    let resets = 0;
    let isOver = false;
    const resetting = (async () => {
      for (; !isOver; resets += 1) {
        await chance(20);
        link.cut();
        link.restore();
        delay();
      }
    })();
    const workers = Array.from({ length: 8 }, async () => {
      for (
        let turn = 0;
        turn < 8 || resets < 4 || !outcomes.some(({ status }) => status === 503);
        turn += 1
      ) {
        const answer = next() < 0.3 ? 422 : 201;
        await waitUntil('it is decided', async () => {
          delay();
          if (next() < 0.1) refusals.push(await app.create({ keys: ['zones'] }));
          const outcome = await app.create({ answer, until: chance(5) });
          outcomes.push(outcome);
          return outcome.status !== 503;
        });
      }
    });
    await Promise.all(workers);
    isOver = true;
    await resetting;
    link.restore();
    for (const outcome of outcomes) if (![201, 422].includes(outcome.status)) expectUnavailable(outcome);
    for (const outcome of refusals) if (outcome.code !== 'quota_exceeded') expectUnavailable(outcome);
    expect(app.host.of()).toBe(outcomes.filter(({ status }) => status === 201).length + 1);
    expect(app.host.of('acme', 'zones')).toBe(2);
    await app.countsTheRows();
    await app.countsTheRows('acme', 'zones');
  });
});
