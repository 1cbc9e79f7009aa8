import { billingRouter, requireQuota } from '@tollgate/koa';
import Koa from 'koa';
import Koa2 from 'koa2';
import request from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listen, unlisten } from '../http/listen.ts';
import { guardScene } from './guard-scene.ts';

const FREE = { committed: 0, held: 0, uncertain: 0 };

describe.each([
  ['Koa 2', Koa2 as unknown as typeof Koa],
  ['Koa 3', Koa],
])('on %s', (_name, KoaOf) => {
  it('a refusal is answered also where `respond = false` was set for the handler before the guards, and gives back what the first took', async () => {
    const host = guardScene({ devices: 1, zones: 0 });
    const app = new KoaOf()
      .use((ctx, next) => {
        ctx.respond = false;
        return next();
      })
      .use(requireQuota('devices', { billing: host.billing }))
      .use(requireQuota('zones', { billing: host.billing }))
      .use((ctx) => void ctx.res.writeHead(201).end());
    onTestFinished(() => host.billing.close());
    const answer = await request(app.callback()).post('/things').timeout(5_000);
    expect([answer.status, answer.body.error_code]).toEqual([429, 'quota_exceeded']);
    await host.settles('devices', FREE);
  });

  it.each([
    ['its handler', false],
    ['Koa', true],
  ])(
    'a stream begun for %s before a guard that refuses breaks off, and what a guard before took is given back',
    async (_whose, respond) => {
      const host = guardScene({ devices: 1, zones: 0 });
      const app = new KoaOf()
        .use((ctx, next) => {
          ctx.respond = respond;
          ctx.type = 'text/event-stream';
          ctx.status = 200;
          ctx.flushHeaders();
          return next();
        })
        .use(requireQuota('devices', { billing: host.billing }))
        .use(requireQuota('zones', { billing: host.billing }))
        .use((ctx) => void ctx.res.end('data: made\n\n'));
      app.silent = true;
      const server = await listen(app.callback(), '');
      onTestFinished(async () => {
        await unlisten(server);
        await host.billing.close();
      });
      const answer = await fetch(`http://127.0.0.1:${server.port}/things`, {
        method: 'POST',
        signal: AbortSignal.timeout(5_000),
      });
      const text = await answer.text().catch((error) => error.name);
      expect([answer.status, text]).toEqual([200, 'TypeError']);
      await host.settles('devices', FREE);
    },
  );

  it('billing routes behind `respond = false` are answered', async () => {
    const { billing } = guardScene({ devices: 1 });
    const app = new KoaOf()
      .use((ctx, next) => {
        ctx.respond = false;
        return next();
      })
      .use(billingRouter(billing));
    onTestFinished(() => billing.close());
    expect((await request(app.callback()).get('/plans').timeout(5_000)).status).toBe(200);
  });
});
