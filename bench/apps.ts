import type { RequestListener } from 'node:http';
import Router from '@koa/router';
import express, { type RequestHandler } from 'express';
import { rateLimit } from 'express-rate-limit';
import type { Redis } from 'ioredis';
import Koa, { type Middleware } from 'koa';
import koaRatelimit from 'koa-ratelimit';
import { RedisStore } from 'rate-limit-redis';
import { RateLimiterRedis } from 'rate-limiter-flexible';
// biome-ignore lint/correctness/useImportExtensions: JavaScript, so that other harnesses can load it; its types are beside it
import { expressHandler, koaHandler, makeExpressApp, makeKoaApp } from './ours.mjs';
import { openClient } from './redis-target.ts';

const LIMIT = 1_000_000_000;
const DAY_SECONDS = 86_400;

function expressApp(...guards: readonly RequestHandler[]): RequestListener {
  const app = express();
  app.post('/devices', ...guards, expressHandler);
  return app;
}

function koaApp(...guards: readonly Middleware[]): RequestListener {
  const app = new Koa();
  const router = new Router();
  router.post('/devices', ...(guards as never[]), koaHandler as never);
  return app.use(router.routes() as never).callback() as RequestListener;
}

const flexible = (redisUrl: string) =>
  new RateLimiterRedis({ storeClient: openClient(redisUrl), points: LIMIT, duration: DAY_SECONDS });

/** Contenders that support Redis Cluster. */
export const onCluster: ReadonlySet<string> = new Set(['bare', 'rate-limiter-flexible', 'tollgate']);

/** Every contender, by framework and name, in the order shown. Each guards the same handler with a limit that is never reached. */
export const apps: Readonly<
  Record<string, Readonly<Record<string, (redisUrl: string) => RequestListener | Promise<RequestListener>>>>
> = {
  koa: {
    bare: () => koaApp(),
    'koa-ratelimit': (redisUrl) =>
      koaApp(
        koaRatelimit({
          driver: 'redis',
          db: openClient(redisUrl) as Redis,
          duration: DAY_SECONDS * 1_000,
          max: LIMIT,
          id: (ctx) => ctx.get('x-org'),
        }),
      ),
    'rate-limiter-flexible': (redisUrl) => {
      const limiter = flexible(redisUrl);
      return koaApp(async (ctx, next) => {
        await limiter.consume(ctx.get('x-org'));
        await next();
      });
    },
    tollgate: async (redisUrl) =>
      (await makeKoaApp({ redisClient: openClient(redisUrl), limit: LIMIT })).callback(),
    'tollgate without Redis': async (redisUrl) =>
      (await makeKoaApp({ redisUrl, limit: LIMIT, variant: 'memory' })).callback(),
  },
  express: {
    bare: () => expressApp(),
    'express-rate-limit': (redisUrl) => {
      const client = openClient(redisUrl) as Redis;
      const store = new RedisStore({
        sendCommand: (...args: string[]) => client.call(...(args as [string, ...string[]])) as never,
      });
      return expressApp(
        rateLimit({
          windowMs: DAY_SECONDS * 1_000,
          limit: LIMIT,
          store,
          keyGenerator: (req) => String(req.headers['x-org']),
        }),
      );
    },
    'rate-limiter-flexible': (redisUrl) => {
      const limiter = flexible(redisUrl);
      return expressApp((req, _res, next) => {
        limiter.consume(String(req.headers['x-org'])).then(() => next(), next);
      });
    },
    tollgate: (redisUrl) => makeExpressApp({ redisClient: openClient(redisUrl), limit: LIMIT }),
    'tollgate without Redis': (redisUrl) => makeExpressApp({ redisUrl, limit: LIMIT, variant: 'memory' }),
  },
};
