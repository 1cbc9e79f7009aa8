import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Router } from '@koa/router';
import type { Billing } from '@tollgate/core';
import * as forExpress from '@tollgate/express';
import * as forKoa from '@tollgate/koa';
import express5 from 'express';
import express4 from 'express4';
import Koa3 from 'koa';
import Koa2 from 'koa2';

export const frameworks = ['express 4', 'express 5', 'koa 2', 'koa 3'] as const;
export type Framework = (typeof frameworks)[number];

/** The host's own work for a create; answers the status to send. */
export type Create = (request: IncomingMessage, response: ServerResponse) => Promise<number>;

type Listener = (billing: Billing, create: Create) => RequestListener;

/** What is created, and the quota key that guards it. */
export const created = ['devices', 'scans'] as const;
export type Created = (typeof created)[number];

/** What an org's metered units follow: `charge` for orgs that are called so. */
const onFailure = (request: { get(name: string): string | undefined }) =>
  request.get('x-org')?.includes('charge') ? 'charge' : 'release';

/** `POST /devices` and `POST /scans`, guarded, with each framework. */
export const listeners: Readonly<Record<Framework, Listener>> = {
  'express 4': expressListener(express4 as unknown as typeof express5),
  'express 5': expressListener(express5),
  'koa 2': koaListener(Koa2 as unknown as typeof Koa3),
  'koa 3': koaListener(Koa3),
};

function expressListener(express: typeof express5): Listener {
  return (billing, create) => {
    const app = express();
    app.use(forExpress.billingRouter(billing));
    for (const key of created) {
      app.post(`/${key}`, forExpress.requireQuota(key, { onFailure }), (req, res, next) => {
        create(req, res).then((status) => res.status(status).json({}), next);
      });
    }
    return app;
  };
}

function koaListener(Koa: typeof Koa3): Listener {
  return (billing, create) => {
    const router = new Router();
    for (const key of created) {
      router.post(`/${key}`, forKoa.requireQuota(key, { onFailure }), async (ctx) => {
        const status = await create(ctx.req, ctx.res);
        ctx.status = status;
        ctx.body = {};
      });
    }
    const app = new Koa();
    app.silent = true;
    return app.use(forKoa.billingRouter(billing)).use(router.routes()).callback();
  };
}
