import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Router as KoaRouter } from '@koa/router';
import type { Billing } from '@tollgate/core';
import * as forExpress from '@tollgate/express';
import * as forKoa from '@tollgate/koa';
import express5 from 'express';
import express4 from 'express4';
import Koa3 from 'koa';
import Koa2 from 'koa2';

export const frameworks = ['express 4', 'express 5', 'koa 2', 'koa 3'] as const;
export type Framework = (typeof frameworks)[number];

/** A host's routes: a door with friction, a page that is shrunk instead, and the billing routes. */
export interface DoorApp {
  readonly billing: Billing;
  /** Options of `friction`, whose functions are given something with `get(header)`. */
  readonly friction?: object;
  /** Told when the door's handler runs, and for whom. */
  readonly onOpen: (who: string | undefined) => void;
}

export interface RunningApp {
  readonly url: string;
  close(): Promise<void>;
}

export async function serveDoor(framework: Framework, app: DoorApp): Promise<RunningApp> {
  const server = createServer(
    framework.startsWith('express') ? expressApp(framework, app) : koaApp(framework, app),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function expressApp(framework: Framework, { billing, friction, onOpen }: DoorApp): RequestListener {
  const app = (framework === 'express 4' ? (express4 as unknown as typeof express5) : express5)();
  app.use(forExpress.billingRouter(billing));
  app.post('/open', forExpress.friction('door_opens', friction as never), (req, res) => {
    onOpen(req.get('x-api-key'));
    res.status(200).json({ opened: true });
  });
  app.get('/page', (req, res, next) => {
    forExpress.degradation(req).then((standing) => res.json(standing), next);
  });
  app.use(((error, _req, res, _next) => {
    res.status(error.status ?? 500).json({ code: error.code });
  }) as express5.ErrorRequestHandler);
  return app;
}

function koaApp(framework: Framework, { billing, friction, onOpen }: DoorApp): RequestListener {
  const app = new (framework === 'koa 2' ? (Koa2 as unknown as typeof Koa3) : Koa3)();
  app.silent = true;
  app.use(async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      ctx.status = (error as { status?: number }).status ?? 500;
      ctx.body = { code: (error as { code?: string }).code };
    }
  });
  app.use(forKoa.billingRouter(billing));
  const router = new KoaRouter();
  router.post('/open', forKoa.friction('door_opens', friction as never), async (ctx) => {
    onOpen(ctx.get('x-api-key'));
    ctx.body = { opened: true };
  });
  router.get('/page', async (ctx) => {
    ctx.body = await forKoa.degradation(ctx);
  });
  app.use(router.routes());
  return app.callback();
}
