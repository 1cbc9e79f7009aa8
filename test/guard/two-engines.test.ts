import type { RequestListener } from 'node:http';
import { Router as KoaRouter } from '@koa/router';
import {
  type Billing,
  capacity,
  createBilling,
  memoryBillingRepository,
  memoryCounterStore,
  metered,
} from '@tollgate/core';
import * as forExpress from '@tollgate/express';
import * as forKoa from '@tollgate/koa';
import express5 from 'express';
import express4 from 'express4';
import Koa3 from 'koa';
import mount from 'koa-mount';
import Koa2 from 'koa2';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { waitUntil } from '../support/services.ts';

const frameworks = ['express 4', 'express 5', 'koa 2', 'koa 3'] as const;
type Framework = (typeof frameworks)[number];

/** A router of an engine's, by the option `prefix` or where the framework mounts it. */
interface Mounted {
  readonly billing: Billing;
  readonly prefix?: string;
  readonly at?: string;
}

/** `POST` to each path creates a device; guards find their engines on the request, or are given them. */
function serve(
  framework: Framework,
  routers: readonly Mounted[],
  routes: Readonly<Record<string, readonly (Billing | undefined)[]>>,
  rewrite: (url: string) => string = (url) => url,
): RequestListener {
  if (framework.startsWith('express')) {
    const app = (framework === 'express 4' ? (express4 as unknown as typeof express5) : express5)();
    app.use((req, _res, next) => {
      req.url = rewrite(req.url);
      next();
    });
    for (const { billing, prefix = '', at = '/' } of routers)
      app.use(at, forExpress.billingRouter(billing, { prefix }));
    for (const [path, guards] of Object.entries(routes)) {
      const own = guards.map((billing) => forExpress.requireQuota('devices', billing && { billing }));
      app.post(path, ...own, (_req, res) => void res.status(201).json({}));
    }
    return app;
  }
  const app = new (framework === 'koa 2' ? (Koa2 as unknown as typeof Koa3) : Koa3)();
  app.use((ctx, next) => {
    ctx.url = rewrite(ctx.url);
    return next();
  });
  for (const { billing, prefix = '', at = '/' } of routers)
    app.use(mount(at, forKoa.billingRouter(billing, { prefix })));
  const router = new KoaRouter();
  for (const [path, guards] of Object.entries(routes)) {
    const own = guards.map((billing) => forKoa.requireQuota('devices', billing && { billing }));
    router.post(path, ...own, (ctx) => {
      ctx.status = 201;
    });
  }
  return app.use(router.routes()).callback();
}

const rewritten = (url: string) => url.replace(/^\/v1(?=\/)/, '').replace(/^\/legacy$/, '/old/devices');

const stores = () => ({ counters: memoryCounterStore(), repository: memoryBillingRepository() });

function engine(devices: number, { counters, repository } = stores()) {
  const billing = createBilling({
    quotas: { devices: capacity(), scans: metered({ periods: ['day'] }) },
    tiers: [
      {
        slug: 'free',
        name: 'Free',
        isDefaultForPersonal: true,
        sortOrder: 1,
        limits: { devices, scans: 100 },
      },
    ],
    inventory: { count: async () => 0, async *list() {}, find: async () => null },
    access: () => null,
    provider: null,
    org: () => 'acme',
    counters,
    repository,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  }) as Billing;
  const used = async () => {
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    return reading && { committed: reading.committed, held: reading.held, uncertain: reading.uncertain };
  };
  return { billing, used };
}

const limitOf = async (app: RequestListener, path: string) =>
  (await request(app).post(path)).get('RateLimit-Policy');

describe.each(frameworks)('beside a second engine a guard on %s', (framework) => {
  it.each(['old first', 'new first'])(
    'finds the engine under whose path its request is, whichever router was passed last (%s)',
    async (order) => {
      const [old, now] = [engine(1), engine(2)];
      const routes = { '/old/devices': [undefined], '/new/devices': [undefined] };
      for (const where of ['prefix', 'at']) {
        const routers = [
          { billing: old.billing, [where]: '/old' },
          { billing: now.billing, [where]: '/new' },
        ];
        const app = serve(framework, order === 'old first' ? routers : routers.reverse(), routes);
        expect(await limitOf(app, '/old/devices'), where).toBe('"devices";q=1');
        expect(await limitOf(app, '/new/devices'), where).toBe('"devices";q=2');
      }
      const refused = await request(
        serve(framework, [{ billing: old.billing, prefix: '/old' }], routes),
      ).post('/old/devices');
      expect([refused.status, refused.get('Link')]).toEqual([
        429,
        '</old/orgs/acme/billing/upgrade-options>; rel="upgrade"',
      ]);
    },
  );

  it.each(['old first', 'new first'])(
    'finds the engine at the root where an old one is kept for its webhooks (%s)',
    async (order) => {
      const [old, now] = [engine(1), engine(2)];
      const routers = [{ billing: old.billing, prefix: '/old' }, { billing: now.billing }];
      const ofOld = ['/old', '/old/devices'];
      const others = ['/devices', '/older/devices'];
      const routes = Object.fromEntries([...ofOld, ...others].map((path) => [path, [undefined]]));
      const app = serve(framework, order === 'old first' ? routers : routers.reverse(), routes);
      for (const path of ofOld) expect(await limitOf(app, path), path).toBe('"devices";q=1');
      for (const path of others) expect(await limitOf(app, path), path).toBe('"devices";q=2');
    },
  );

  it.each(['old first', 'new first'])(
    'finds the same engine however a client writes the path, which the routes of the host take all the same (%s)',
    async (order) => {
      const [old, now] = [engine(1), engine(2)];
      const routers = [
        { billing: old.billing, prefix: '/old' },
        { billing: now.billing, prefix: '/new' },
      ];
      const routes = { '/old/devices': [undefined], '/new/devices': [undefined] };
      const app = serve(framework, order === 'old first' ? routers : routers.reverse(), routes);
      for (const path of ['/OLD/devices', '/Old/devices/', '/old/devices?at=/new'])
        expect(await limitOf(app, path), path).toBe('"devices";q=1');
      for (const path of ['/NEW/devices', '/neW/devices/'])
        expect(await limitOf(app, path), path).toBe('"devices";q=2');
    },
  );

  it.each([
    ['old first', '/v1/old/devices'],
    ['new first', '/v1/old/devices'],
    ['new first', '/legacy'],
  ])(
    'finds the engine under whose path its request is by now, where the host rewrote it (%s, %s)',
    async (order, sent) => {
      const [old, now] = [engine(1), engine(2)];
      const routes = { '/devices': [undefined], '/old/devices': [undefined] };
      for (const where of ['prefix', 'at']) {
        const routers = [{ billing: old.billing, [where]: '/old' }, { billing: now.billing }];
        const app = serve(framework, order === 'old first' ? routers : routers.reverse(), routes, rewritten);
        expect(await limitOf(app, sent), where).toBe('"devices";q=1');
        expect(await limitOf(app, '/v1/devices'), where).toBe('"devices";q=2');
      }
    },
  );

  it('takes units of both, gives those of the first back where the second refuses, and mixes no counts up', async () => {
    const [one, other] = [engine(3), engine(1)];
    const app = serve(framework, [{ billing: other.billing }], {
      '/both': [one.billing, other.billing],
      '/one': [one.billing],
    });
    expect((await request(app).post('/both')).status).toBe(201);
    expect((await request(app).post('/both')).status).toBe(429);
    expect((await request(app).post('/one')).status).toBe(201);
    await waitUntil('all is settled', async () => (await one.used())?.held === 0);
    expect(await one.used()).toEqual({ committed: 2, held: 0, uncertain: 0 });
    expect(await other.used()).toMatchObject({ held: 0 });
  });
});
