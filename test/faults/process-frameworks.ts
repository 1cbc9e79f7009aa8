import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Router } from '@koa/router';
import type { Billing } from '@tollgate/core';
import * as forExpress from '@tollgate/express';
import * as forKoa from '@tollgate/koa';
import express from 'express';
import Koa from 'koa';

export const frameworks = ['express 5', 'koa 3'] as const;
export type Framework = (typeof frameworks)[number];

/** The host's own work for a create; answers the status to send. */
export type Create = (request: IncomingMessage, response: ServerResponse) => Promise<number>;

/** `POST /devices`, guarded, with each framework. */
export const listeners: Readonly<Record<Framework, (billing: Billing, create: Create) => RequestListener>> = {
  'express 5'(billing, create) {
    const app = express();
    app.use(forExpress.billingRouter(billing));
    app.post('/devices', forExpress.requireQuota('devices'), async (req, res) => {
      const status = await create(req, res);
      res.status(status).json({});
    });
    return app;
  },
  'koa 3'(billing, create) {
    const router = new Router();
    router.post('/devices', forKoa.requireQuota('devices'), async (ctx) => {
      const status = await create(ctx.req, ctx.res);
      ctx.status = status;
      ctx.body = {};
    });
    const app = new Koa();
    app.silent = true;
    return app.use(forKoa.billingRouter(billing)).use(router.routes()).callback();
  },
};
