import { requireQuota } from '@tollgate/koa';
import Koa from 'koa';
import Koa2 from 'koa2';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { guardScene } from './guard-scene.ts';

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
      expect(Object.keys(fault)).not.toContain('headers');
    },
  );

  it('keeps the headers that the error has', async () => {
    const { answer } = await post(taken({ headers: { 'X-Why': 'taken', RateLimit: 'mine' } }));
    expect(answer.headers).toMatchObject({ 'x-why': 'taken', ratelimit: 'mine' });
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
