import { requireQuota } from '@tollgate/koa';
import Koa from 'koa';
import Koa2 from 'koa2';
import request from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';
import { gate, guardScene } from './guard-scene.ts';

describe.each([
  ['Koa 2', Koa2 as unknown as typeof Koa],
  ['Koa 3', Koa],
])('what a guarded handler throws, answered by %s itself', (_name, KoaOf) => {
  /** Guards of two keys, a handler that throws, and what came out of it. */
  async function post(fault: unknown, answeredBy: 'koa' | 'host' = 'koa') {
    const { billing } = guardScene({ devices: 5, zones: 2 });
    let seen: unknown;
    const app = new KoaOf()
      .use(async (ctx, next) => {
        try {
          await next();
        } catch (error) {
          seen = error;
          if (answeredBy === 'koa') throw error;
          ctx.status = 500;
        }
      })
      .use(requireQuota('devices', { billing }))
      .use(requireQuota('zones', { billing }))
      .use(() => {
        throw fault;
      });
    app.silent = true;
    const answer = await request(app.callback()).post('/');
    return { answer, seen };
  }
  const taken = (more: object = {}) => Object.assign(new Error('taken'), { status: 409, expose: true }, more);

  it.each([
    ['a refusal', taken(), 409],
    ['a failure', new Error('broken'), 500],
  ])(
    '%s tells the limits as any other answer does, and looks the same in a log',
    async (_what, fault, status) => {
      const { answer, seen } = await post(fault);
      expect(answer.status).toBe(status);
      expect(answer.headers).toMatchObject({ ratelimit: '"zones";r=1', 'ratelimit-policy': '"zones";q=2' });
      expect(seen).toBe(fault);
      expect(fault).not.toHaveProperty('headers');
    },
  );

  it('tells each org its own limits where the host throws the same error for all, at once too', async () => {
    const { billing } = guardScene({ devices: 5 });
    const fault = taken();
    const { opened, open } = gate();
    let waiting = 0;
    const app = new KoaOf()
      .use(requireQuota('devices', { billing, org: (ctx) => ctx.get('x-org') }))
      .use(async () => {
        waiting += 1;
        if (waiting === 3) open();
        await opened;
        throw fault;
      });
    app.silent = true;
    const server = app.listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await billing.reserve({ org: 'acme', charges: [{ key: 'devices', amount: 3 }] });
    const left = async (org: string) => (await request(server).post('/').set('x-org', org)).headers.ratelimit;
    const asked = ['acme', 'globex', 'initech'].map(left);
    expect(await Promise.all(asked)).toEqual(['"devices";r=1', '"devices";r=4', '"devices";r=4']);
    expect(await left('globex')).toBe('"devices";r=4');
  });

  it.each([
    ['a time-out around the guard fails while the handler runs', 503],
    ['what ends behind the guard fails, as sessions do that cannot be kept', 500],
  ])('tells the limits where %s', async (_what, status) => {
    const { billing } = guardScene({ devices: 5 });
    const { opened, open } = gate();
    const began = gate();
    const app = new KoaOf()
      .use(async (_ctx, next) => {
        const handled = next();
        await (status === 503 ? began.opened : handled);
        throw Object.assign(new Error('broken'), { status });
      })
      .use(requireQuota('devices', { billing }))
      .use(async (ctx) => {
        began.open();
        if (status === 503) await opened;
        ctx.status = 201;
      });
    app.silent = true;
    onTestFinished(open);
    const answer = await request(app.callback()).post('/');
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({ ratelimit: '"devices";r=4', 'ratelimit-policy': '"devices";q=5' });
  });

  it('settles a request whose `onerror` the host made read-only', async () => {
    const host = guardScene({ devices: 5 });
    const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use((ctx) => {
      ctx.status = 201;
    });
    Object.defineProperty(app.context, 'onerror', { value: app.context.onerror, writable: false });
    expect((await request(app.callback()).post('/')).status).toBe(201);
    await host.settles('devices', { committed: 1, held: 0, uncertain: 0 });
  });

  it('tells what the host made of the limits: set anew, or taken off the response', async () => {
    const { billing } = guardScene({ devices: 5 });
    const app = new KoaOf().use(requireQuota('devices', { billing })).use((ctx) => {
      ctx.set('RateLimit-Policy', 'mine');
      ctx.remove('RateLimit');
      throw taken();
    });
    app.silent = true;
    const { headers } = await request(app.callback()).post('/');
    expect([headers['ratelimit-policy'], headers.ratelimit]).toEqual(['mine', undefined]);
  });

  it('keeps the headers that the error has', async () => {
    const fault = taken({ headers: { 'X-Why': 'taken', RateLimit: 'mine' } });
    for (const _time of ['once', 'again']) {
      const { answer } = await post(fault);
      expect(answer.headers).toMatchObject({ 'x-why': 'taken', ratelimit: 'mine' });
    }
  });

  it('lets a listener to `error` set others, which Koa takes from the error', async () => {
    const { billing } = guardScene({ devices: 5 });
    const app = new KoaOf().use(requireQuota('devices', { billing })).use(() => {
      throw taken();
    });
    app.on('error', (error) => {
      error.headers = { ...error.headers, 'X-Why': 'taken' };
    });
    const answer = await request(app.callback()).post('/').timeout(5_000);
    expect(answer.headers).toMatchObject({ 'x-why': 'taken', ratelimit: '"devices";r=4' });
  });

  it.each([
    ['the headers of an answer of somebody else', taken({ headers: new Headers({ 'x-from': 'afar' }) })],
    ['an error that cannot be changed', Object.freeze(taken())],
    ['what is no error', 'a text'],
  ])('leaves %s alone', async (_what, fault) => {
    const before = (fault as { headers?: unknown }).headers;
    const { answer, seen } = await post(fault, 'host');
    expect(answer.headers).toMatchObject({ ratelimit: '"zones";r=1' });
    expect(seen).toBe(fault);
    expect((fault as { headers?: unknown }).headers).toBe(before);
  });
});
