import { friction as frictionOnExpress } from '@tollgate/express';
import { friction, requireQuota } from '@tollgate/koa';
import express5 from 'express';
import express4 from 'express4';
import Koa from 'koa';
import Koa2 from 'koa2';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { frameworks } from './apps.ts';
import { DAY, MAX_DELAY_MS, overCapacityScene } from './scene.ts';

const HEADER = 'X-Degradation-Delay';

describe.each(frameworks)('friction on %s', (framework) => {
  it('touches nobody within limits or while warned', async () => {
    const { open, billing, at, openedBy } = await overCapacityScene(framework);
    expect((await open('member')).headers.has(HEADER)).toBe(false);
    await billing.degradation('acme');
    at(14 * DAY);
    const answer = await open('member');
    expect([answer.status, answer.headers.get(HEADER)]).toEqual([200, null]);
    expect(openedBy).toHaveLength(2);
  });

  it('delays a member by level x maxDelayMs, says so, and refuses nobody; an admin is not delayed', async () => {
    const { open, billing, at, openedBy } = await overCapacityScene(framework);
    await billing.degradation('acme');
    for (const [day, delay] of [
      [17.5, MAX_DELAY_MS / 4],
      [21, MAX_DELAY_MS / 2],
      [28, MAX_DELAY_MS],
      [300, MAX_DELAY_MS],
    ] as const) {
      at(day * DAY);
      const before = performance.now();
      const answer = await open('member');
      // A timer may fire a millisecond early.
      expect(performance.now() - before).toBeGreaterThanOrEqual(delay - 1);
      expect([answer.status, answer.headers.get(HEADER)]).toEqual([200, `${delay}`]);
    }
    const admin = await open('admin');
    expect([admin.status, admin.headers.get(HEADER)]).toEqual([200, null]);
    expect(openedBy).toHaveLength(5);
  });

  it('ends at once with the upgrade', async () => {
    const { open, billing, at, setLimit } = await overCapacityScene(framework);
    await billing.degradation('acme');
    at(28 * DAY);
    expect((await open('member')).headers.get(HEADER)).toBe(`${MAX_DELAY_MS}`);
    await setLimit(9);
    expect((await open('member')).headers.has(HEADER)).toBe(false);
  });

  it('holds no more requests than it may: the others pass undelayed and say 0', async () => {
    const { open, billing, at, openedBy } = await overCapacityScene(framework, {
      options: { overCapacity: { maxDelayMs: 60_000, maxWaiting: 2 } },
      friction: {
        maxDelayMs: (request: { get(name: string): string }) => Number(request.get('x-delay') || 60_000),
      },
    });
    await billing.degradation('acme');
    at(28 * DAY);
    const leaving = new AbortController();
    const held = [1, 2].map(() => open('member', { signal: leaving.signal }).catch(() => 'left'));
    await waitUntil('both wait', async () => (await open('member')).headers.get(HEADER) === '0');
    const before = openedBy.length;
    const answer = await open('member');
    expect([answer.status, answer.headers.get(HEADER)]).toEqual([200, '0']);
    expect(openedBy).toHaveLength(before + 1);
    leaving.abort();
    expect(await Promise.all(held)).toEqual(['left', 'left']);
  });

  it('ends when the client leaves: its handler does not run, and its place is free', async () => {
    const { open, billing, at, openedBy } = await overCapacityScene(framework, {
      options: { overCapacity: { maxDelayMs: 60_000, maxWaiting: 1 } },
    });
    await billing.degradation('acme');
    at(28 * DAY);
    let passed = 0;
    for (let times = 1; times <= 3; times += 1) {
      // Waits in the one place there is; once the client before it is really gone, that is.
      const leaving = await waitUntil('a member waits', async () => {
        const controller = new AbortController();
        const answer = open('member', { signal: controller.signal }).catch(() => 'left');
        const isHeld =
          (await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 150))])) === undefined;
        if (!isHeld) passed += 1;
        return isHeld && { controller, answer };
      });
      leaving.controller.abort();
      expect(await leaving.answer).toBe('left');
    }
    await waitUntil('nobody waits', async () => {
      const answer = await open('member', { signal: AbortSignal.timeout(100) }).catch(() => 'held');
      if (answer !== 'held') passed += 1;
      return answer === 'held';
    });
    expect(openedBy).toHaveLength(passed);
  });

  it('does not touch a request that the host exempts', async () => {
    const { open, billing, at } = await overCapacityScene(framework, {
      friction: {
        isExempt: (request: { get(name: string): string }) => request.get('x-api-key') === 'caretaker',
      },
    });
    await billing.degradation('acme');
    at(28 * DAY);
    expect((await open('caretaker')).headers.has(HEADER)).toBe(false);
    expect((await open('admin')).headers.get(HEADER)).toBe(`${MAX_DELAY_MS}`);
  });

  it('delays callers whom the host’s access does not know', async () => {
    const { open, billing, at } = await overCapacityScene(framework);
    await billing.degradation('acme');
    at(28 * DAY);
    const answer = await open(null);
    expect([answer.status, answer.headers.get(HEADER)]).toEqual([200, `${MAX_DELAY_MS}`]);
  });

  it('lets everybody pass while the level cannot be found out', async () => {
    const { open, billing, at, repository, openedBy } = await overCapacityScene(framework);
    await billing.degradation('acme');
    at(28 * DAY);
    repository.loadDegradation = () => Promise.reject(new Error('away'));
    const failing = await open('member');
    expect([failing.status, failing.headers.has(HEADER)]).toEqual([200, false]);
    repository.loadDegradation = () => new Promise(() => undefined);
    const hanging = await open('member');
    expect([hanging.status, hanging.headers.has(HEADER)]).toEqual([200, false]);
    expect(openedBy).toHaveLength(2);
  });

  it('lets everybody pass while the host does not say who is exempt', async () => {
    const { open, billing, at, openedBy } = await overCapacityScene(framework, {
      friction: { isExempt: () => new Promise<boolean>(() => undefined) },
    });
    await billing.degradation('acme');
    at(28 * DAY);
    const hanging = await open('member', { signal: AbortSignal.timeout(5_000) });
    expect([hanging.status, hanging.headers.has(HEADER)]).toEqual([200, false]);
    expect(openedBy).toHaveLength(1);
  });

  it('has nothing to do when the lifecycle is off, or the request is of no org', async () => {
    const off = await overCapacityScene(framework, { options: { overCapacity: false } });
    await off.billing.degradation('acme');
    off.at(28 * DAY);
    expect((await off.open('member')).headers.has(HEADER)).toBe(false);
    const { open, billing, at } = await overCapacityScene(framework);
    await billing.degradation('acme');
    at(28 * DAY);
    const nobody = await open(null, { headers: {} });
    expect([nobody.status, nobody.headers.has(HEADER)]).toEqual([200, false]);
  });

  it('tells a host that cannot say whose request it is so, instead of letting all pass for ever', async () => {
    const { app } = await overCapacityScene(framework, { options: { org: undefined as never } });
    const answer = await fetch(`${app.url}/open`, { method: 'POST' });
    expect([answer.status, await answer.json()]).toEqual([500, { code: 'invalid_configuration' }]);
  });
});

it.each([
  ['Koa 2', Koa2 as unknown as typeof Koa],
  ['Koa 3', Koa],
])('%s says the delay too where the handler throws and Koa itself answers', async (_name, KoaOf) => {
  const { billing, at } = await overCapacityScene('koa 3');
  await billing.degradation('acme');
  at(28 * DAY);
  const fault = Object.assign(new Error('jammed'), { status: 409 });
  const app = new KoaOf()
    .use(friction('door_opens', { billing }))
    .use(requireQuota('door_opens', { billing }))
    .use(() => {
      throw fault;
    });
  app.silent = true;
  const answer = await request(app.callback()).post('/').set('x-org', 'acme').set('x-api-key', 'member');
  expect([answer.status, answer.headers['x-degradation-delay']]).toEqual([409, `${MAX_DELAY_MS}`]);
  expect(answer.headers.ratelimit).toMatch('"door_opens:day";r=99');
  expect(fault).not.toHaveProperty('headers');
});

it.each([
  ['express 4', express4 as unknown as typeof express5],
  ['express 5', express5],
])('on %s a stream that was begun before friction goes on behind it', async (_name, express) => {
  const { billing, at } = await overCapacityScene('express 5');
  await billing.degradation('acme');
  at(28 * DAY);
  const app = express();
  app.post(
    '/open',
    (_req, res, next) => {
      res.type('text/event-stream').flushHeaders();
      next();
    },
    frictionOnExpress('door_opens', { billing }),
    (_req, res) => void res.end('data: open\n\n'),
  );
  const answer = await request(app)
    .post('/open')
    .set('x-org', 'acme')
    .set('x-api-key', 'member')
    .timeout(5_000);
  expect([answer.status, answer.text]).toEqual([200, 'data: open\n\n']);
});

describe.each(frameworks)('degradation(request) on %s', (framework) => {
  it('tells the stage and level of the request’s org', async () => {
    const { get, billing, at } = await overCapacityScene(framework);
    expect((await get('/page')).body).toEqual({ stage: 'none', level: 0 });
    await billing.degradation('acme');
    at(14 * DAY - 1);
    expect((await get('/page')).body).toEqual({ stage: 'warned', level: 0 });
    at(21 * DAY);
    expect((await get('/page')).body).toEqual({ stage: 'degraded', level: 0.5 });
    at(30 * DAY);
    expect((await get('/page')).body).toEqual({ stage: 'marked_for_delete', level: 1 });
  });
});
