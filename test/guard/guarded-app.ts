import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { Router as KoaRouter } from '@koa/router';
import type { Billing } from '@tollgate/core';
import * as forExpress from '@tollgate/express';
import * as forKoa from '@tollgate/koa';
import express5 from 'express';
import express4 from 'express4';
import Koa3, { type Context, type Middleware } from 'koa';
import koaBodyParser from 'koa-bodyparser';
import Koa2 from 'koa2';

export const frameworks = ['express 4', 'express 5', 'koa 2', 'koa 3'] as const;
export type Framework = (typeof frameworks)[number];

/** What a handler of the tests works with, whatever the framework. */
export interface Call {
  /** Express' `req`, Koa's `ctx`. */
  readonly native: object;
  /** What the host's parser made of the body. */
  readonly body: unknown;
  readonly id: string;
  /** Ends the answer. */
  answer(status: number, headers?: Readonly<Record<string, string>>): void;
  /** Hands an error to the framework: `next(error)`, or a throw. */
  fail(error: unknown): void;
  /** Answers 200 with what the generator yields. */
  stream(chunks: () => AsyncGenerator<string>): void;
}

export type Handler = (call: Call) => void | Promise<void>;

/** The arguments of one `requireQuota`; functions among the options are given something with `get(header)`. */
export type GuardArguments = readonly [keys: unknown, options?: unknown];

export interface GuardedRoutes {
  /** Null: guards find no engine on the request. */
  readonly billing: Billing | null;
  /** `POST /things`: its guards in their order, and its handler. */
  readonly guards: readonly GuardArguments[];
  readonly handler: Handler;
  /** `DELETE /things/:id`. */
  readonly onDelete?: { readonly key: string; readonly handler: Handler; readonly options?: object };
  /** Where the host parses JSON bodies. @default 'never' */
  readonly parser?: 'before' | 'after' | 'never';
  /** Somebody who answers 503 in the handler's stead when the returned promise resolves. */
  readonly impatience?: () => Promise<void>;
}

export interface RunningApp {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves guarded routes with one of the frameworks, the billing routes under `/api`. */
export async function serveGuarded(framework: Framework, routes: GuardedRoutes): Promise<RunningApp> {
  const listener = framework.startsWith('express')
    ? expressApp(framework === 'express 4' ? (express4 as unknown as typeof express5) : express5, routes)
    : koaApp(framework === 'koa 2' ? (Koa2 as unknown as typeof Koa3) : Koa3, routes);
  const server = createServer(listener);
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

function expressApp(express: typeof express5, routes: GuardedRoutes): RequestListener {
  const { billing, guards, handler, onDelete, parser = 'never', impatience } = routes;
  const app = express();
  if (parser === 'before') app.use(express.json());
  if (billing !== null) app.use('/api', forExpress.billingRouter(billing));
  if (impatience !== undefined) {
    app.use((_req, res, next) => {
      void impatience().then(() => res.headersSent || res.status(503).json({ slow: true }));
      next();
    });
  }
  const run = (handle: Handler): express5.RequestHandler => {
    return (req, res, next) => {
      const call: Call = {
        native: req,
        body: req.body,
        id: String(req.params.id),
        answer: (status, headers = {}) => void res.status(status).set(headers).json({}),
        fail: next,
        stream: (chunks) => void Readable.from(chunks()).pipe(res),
      };
      // Express 4 does not wait for a handler: its hosts catch by themselves.
      Promise.resolve()
        .then(() => handle(call))
        .catch(next);
    };
  };
  const made = guards.map(([keys, options]) => forExpress.requireQuota(keys as 'devices', options as object));
  const before = parser === 'after' ? [express.json()] : [];
  app.post('/api/things', ...made, ...before, run(handler));
  if (onDelete !== undefined) {
    app.delete(
      '/api/things/:id',
      forExpress.releaseQuota(onDelete.key, onDelete.options),
      run(onDelete.handler),
    );
  }
  app.use(((error, _req, res, _next) => {
    if (!res.headersSent) res.status(error.status ?? 500).json({ failed: true });
  }) as express5.ErrorRequestHandler);
  return app;
}

function koaApp(Koa: typeof Koa3, routes: GuardedRoutes): RequestListener {
  const { billing, guards, handler, onDelete, parser = 'never', impatience } = routes;
  const app = new Koa();
  app.silent = true;
  app.use(async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      ctx.status = (error as { status?: number }).status ?? 500;
      ctx.body = { failed: true };
    }
  });
  const parse = koaBodyParser() as unknown as Middleware;
  if (parser === 'before') app.use(parse);
  if (billing !== null) app.use(forKoa.billingRouter(billing, { prefix: '/api' }));
  if (impatience !== undefined) {
    app.use(async (ctx, next) => {
      const rest = next();
      const isLate = await Promise.race([rest.then(() => false), impatience().then(() => true)]);
      if (isLate) {
        ctx.status = 503;
        ctx.body = { slow: true };
      }
    });
  }
  const run = (handle: Handler): Middleware => {
    return async (ctx: Context) => {
      await handle({
        native: ctx,
        body: (ctx.request as { body?: unknown }).body,
        id: String(ctx.params.id),
        answer: (status, headers = {}) => {
          ctx.status = status;
          ctx.set({ ...headers });
          ctx.body = status === 204 ? null : {};
        },
        fail: (error) => {
          throw error;
        },
        stream: (chunks) => {
          ctx.body = Readable.from(chunks());
        },
      });
    };
  };
  const made = guards.map(([keys, options]) => forKoa.requireQuota(keys as 'devices', options as object));
  const router = new KoaRouter();
  router.post('/api/things', ...made, ...(parser === 'after' ? [parse] : []), run(handler));
  if (onDelete !== undefined) {
    router.delete(
      '/api/things/:id',
      forKoa.releaseQuota(onDelete.key, onDelete.options),
      run(onDelete.handler),
    );
  }
  app.use(router.routes());
  return app.callback();
}
