import { Router } from '@koa/router';
import { type Billing, createBilling, passageOf } from '@tollgate/core';
import { billingRouter as expressRouter } from '@tollgate/express';
import { billingRouter as koaRouter } from '@tollgate/koa';
import { rawBytes, serverFixture } from '@tollgate/testing';
import express from 'express';
import Koa from 'koa';
import mount from 'koa-mount';
import { afterAll, describe, expect, test } from 'vitest';
import { inProcess } from './in-process.ts';

const billing = createBilling(serverFixture().options) as Billing;
afterAll(() => billing.close());

const host = {
  method: 'POST',
  target: '/api/v1/devices',
  headers: { 'Content-Type': 'application/json' },
  body: '{"name":"lamp"}',
};

describe("a request that is the host's own", () => {
  test('reaches a handler of Express with its body unread', async () => {
    const app = express().use('/api/v1', expressRouter(billing));
    app.post('/api/v1/devices', (req, res) => {
      res.json({ read: req.readableDidRead, flowing: req.readableFlowing });
    });
    const { body } = await inProcess(app)(rawBytes(host));
    expect(JSON.parse(body)).toEqual({ read: false, flowing: null });
  });

  test('reaches a handler of Koa with its body unread', async () => {
    const app = new Koa().use(mount('/api/v1', koaRouter(billing))).use((ctx) => {
      ctx.body = { read: ctx.req.readableDidRead, flowing: ctx.req.readableFlowing };
    });
    const { body } = await inProcess(app.callback())(rawBytes(host));
    expect(JSON.parse(body)).toEqual({ read: false, flowing: null });
  });

  test.each([
    ['at the root', () => express().use(expressRouter(billing)), ''],
    ['under a mount path', () => express().use('/api/v1', expressRouter(billing)), '/api/v1'],
    ['with a prefix', () => express().use(expressRouter(billing, { prefix: '/api/v1' })), '/api/v1'],
    ['with both', () => express().use('/api', expressRouter(billing, { prefix: '/v1/' })), '/api/v1'],
  ])('knows on Express its engine and where the routes are, mounted %s', async (_how, make, basePath) => {
    const app = make();
    app.use((req, res) => {
      const passage = passageOf(req);
      res.json({ basePath: passage?.basePath, same: passage?.engine.billing === billing });
    });
    const { body } = await inProcess(app)(rawBytes(host));
    expect(JSON.parse(body)).toEqual({ basePath, same: true });
  });

  test.each([
    ['at the root', () => new Koa().use(koaRouter(billing)), ''],
    ['under koa-mount', () => new Koa().use(mount('/api/v1', koaRouter(billing))), '/api/v1'],
    ['with a prefix', () => new Koa().use(koaRouter(billing, { prefix: '/api/v1' })), '/api/v1'],
    ['with both', () => new Koa().use(mount('/api', koaRouter(billing, { prefix: '/v1/' }))), '/api/v1'],
  ])('knows on Koa its engine and where the routes are, mounted %s', async (_how, make, basePath) => {
    const app = make();
    app.use((ctx) => {
      const passage = passageOf(ctx.req);
      ctx.body = { basePath: passage?.basePath, same: passage?.engine.billing === billing };
    });
    const { body } = await inProcess(app.callback())(rawBytes(host));
    expect(JSON.parse(body)).toEqual({ basePath, same: true });
  });
});

test.each([
  [
    'Express',
    (one: Billing, two: Billing) => {
      const app = express().use(expressRouter(one), expressRouter(two));
      return app.use((req, res) => void res.json(passageOf(req)?.engine.billing === two));
    },
  ],
  [
    'Koa',
    (one: Billing, two: Billing) => {
      const app = new Koa().use(koaRouter(one)).use(koaRouter(two));
      return app
        .use((ctx) => {
          ctx.body = String(passageOf(ctx.req)?.engine.billing === two);
        })
        .callback();
    },
  ],
])('of several routers a request of %s knows the engine of the last', async (_, make) => {
  const other = createBilling(serverFixture().options) as Billing;
  expect((await inProcess(make(other, billing))(rawBytes(host))).body).toBe('true');
  await other.close();
});

describe("the framework's own account of a billing request stays true", () => {
  const request = rawBytes({
    method: 'GET',
    target: '/api/v1/orgs/acme/billing/plan',
    headers: { 'X-API-Key': 'key-admin' },
  });

  test('Express knows the route', async () => {
    let seen: unknown;
    const app = express();
    app.use((req, res, next) => {
      res.on('finish', () => {
        seen = req.baseUrl + req.route?.path;
      });
      next();
    });
    app.use('/api/v1', expressRouter(billing));
    await inProcess(app)(request);
    expect(seen).toBe('/api/v1/orgs/:id/billing/plan');
  });

  test.each([
    ['with a prefix', () => koaRouter(billing, { prefix: '/api/v1' })],
    ['nested in another router', () => new Router().use('/api/v1', koaRouter(billing)).routes()],
  ])('Koa knows the route, %s', async (_how, make) => {
    let seen: unknown;
    const app = new Koa();
    app.use(async (ctx, next) => {
      await next();
      seen = ctx._matchedRoute;
    });
    app.use(make() as Koa.Middleware);
    await inProcess(app.callback())(request);
    expect(seen).toBe('/api/v1/orgs/:id/billing/plan');
  });

  test("an error of the host's own handlers passes the router untouched on Express", async () => {
    const app = express();
    app.use((_req, _res, next) => next(new URIError("the host's own")));
    app.use(expressRouter(billing));
    app.use(((error: Error, _req, res, _next) => {
      res.status(418).send(error.message);
    }) as express.ErrorRequestHandler);
    const response = await inProcess(app)(rawBytes({ method: 'GET', target: '/plans' }));
    expect([response.status, response.body]).toEqual([418, "the host's own"]);
  });
});

describe('a router', () => {
  test.each([
    ['Express', expressRouter],
    ['Koa', koaRouter],
  ])('on %s makes its own engine from plain options, and refuses faulty ones at start', (_name, make) => {
    expect(() => make(serverFixture().options)).not.toThrow();
    // Modules that import each other in a circle hand over undefined.
    for (const faulty of [{ ...serverFixture().options, access: undefined }, undefined, null]) {
      expect(() => make(faulty as never)).toThrow(expect.objectContaining({ code: 'invalid_configuration' }));
    }
    expect(() => make(billing, { prefix: '/:tenant' })).toThrow(
      expect.objectContaining({ code: 'invalid_configuration' }),
    );
  });
});
