// The guard as a host mounts it, in the shape of the side-by-side bench: an app that serves POST /devices for the org in `x-org`.
import Router from '@koa/router';
import { createBilling, metered } from '@tollgate/core';
import { requireQuota as expressQuota } from '@tollgate/express';
import { requireQuota as koaQuota } from '@tollgate/koa';
import { redisCounterStore } from '@tollgate/redis';
import express from 'express';
import { Redis } from 'ioredis';
import Koa from 'koa';

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const emptyInventory = { count: async () => 0, list: async function* () {}, find: async () => null };

function makeBilling({ redisUrl, redisClient, limit, redisOptions, variant }) {
  const client = redisClient ?? new Redis(redisUrl, redisOptions ?? {});
  client.on('error', () => {});
  return createBilling({
    quotas: { creates: metered({ periods: ['day'] }) },
    tiers: [
      { slug: 'only', name: 'Only', isDefaultForPersonal: true, sortOrder: 1, limits: { creates: limit } },
    ],
    inventory: emptyInventory,
    access: () => null,
    provider: null,
    org: (request) => request.header('x-org'),
    maxHeldPerOrg: 100_000,
    ...(variant === 'memory' ? {} : { counters: redisCounterStore({ client, logger: quiet }) }),
    logger: quiet,
  });
}

const nothing = () => {};
const quiet = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** The handler of every contender's app. A harness can make it wait or fail. */
export async function expressHandler(req, res) {
  const { headers } = req;
  if (headers['x-delay']) await wait(Number(headers['x-delay']));
  if (headers['x-fail']) return res.status(500).json({ error: 'handler failed' });
  res.status(201).json({ id: 'd_1', name: 'device' });
}

export async function koaHandler(ctx) {
  const { headers } = ctx;
  if (headers['x-delay']) await wait(Number(headers['x-delay']));
  ctx.status = headers['x-fail'] ? 500 : 201;
  ctx.body = headers['x-fail'] ? { error: 'handler failed' } : { id: 'd_1', name: 'device' };
}

export function makeExpressApp(options) {
  const app = express();
  app.post('/devices', expressQuota('creates', { billing: makeBilling(options) }), expressHandler);
  return app;
}

export function makeKoaApp(options) {
  const app = new Koa();
  app.silent = true;
  const router = new Router();
  router.post('/devices', koaQuota('creates', { billing: makeBilling(options) }), koaHandler);
  return app.use(router.routes());
}
