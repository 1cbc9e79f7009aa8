import { bodyParser } from '@koa/bodyparser';
import { Router } from '@koa/router';
import { TollgateError } from '@tollgate/core';
import { basePath, type Host, hostError, pageFiles, resources, subOrgs } from '@tollgate/example-shared';
import { billingRouter, friction, releaseQuota, requireQuota } from '@tollgate/koa';
import Koa, { type Context, type Middleware } from 'koa';

/** The example as a Koa app. */
export function createApp({ billing, answers }: Host): Koa {
  const app = new Koa();
  app.use(onError);
  app.use(billingRouter(billing, { prefix: basePath }));
  app.use(bodyParser({ enableTypes: ['json'] }));

  const page = new Router();
  for (const { path, headers, body } of pageFiles) {
    page.get(path, (ctx) => {
      ctx.set(headers);
      ctx.body = body;
    });
  }

  const api = new Router({ prefix: basePath });
  /** Refuses an org that the caller does not belong to, before anything is charged or done. */
  const enter: Middleware = (ctx, next) => {
    answers.enter(headerOf(ctx), headerOf(ctx)('x-org'));
    return next();
  };
  for (const resource of resources) {
    const { path, key } = resource;
    api.post(path, enter, requireQuota(key), async (ctx) => {
      ctx.body = await answers.create(resource, orgOf(ctx), ctx.request.body);
      ctx.status = 201;
    });
    api.get(path, enter, async (ctx) => {
      ctx.body = await answers.list(resource, orgOf(ctx));
    });
    api.get(`${path}/:id`, enter, async (ctx) => {
      ctx.body = await answers.read(resource, orgOf(ctx), param(ctx, 'id'));
    });
    api.delete(`${path}/:id`, enter, releaseQuota(key), async (ctx) => {
      await answers.remove(resource, orgOf(ctx), param(ctx, 'id'));
      ctx.status = 204;
    });
  }

  // Friction comes before the charge, so that a delayed request holds no units.
  api.post('/doors/:id/open', enter, friction('door_opens'), requireQuota('door_opens'), async (ctx) => {
    ctx.body = await answers.openDoor(orgOf(ctx), param(ctx, 'id'));
  });

  // A sub-org is charged to its parent, which is in the path.
  const parentOf = (ctx: Context) => param(ctx, 'id');
  const enterParent: Middleware = (ctx, next) => {
    answers.enter(headerOf(ctx), parentOf(ctx));
    return next();
  };
  api.post(subOrgs.path, enterParent, requireQuota('organizations', { org: parentOf }), async (ctx) => {
    ctx.body = await answers.create(subOrgs, parentOf(ctx), ctx.request.body);
    ctx.status = 201;
  });
  api.get(subOrgs.path, enterParent, async (ctx) => {
    ctx.body = await answers.list(subOrgs, parentOf(ctx));
  });
  api.delete(
    `${subOrgs.path}/:subId`,
    enterParent,
    releaseQuota('organizations', { org: parentOf }),
    async (ctx) => {
      await answers.remove(subOrgs, parentOf(ctx), param(ctx, 'subId'));
      ctx.status = 204;
    },
  );

  app.use(page.routes());
  app.use(api.routes());
  return app;
}

/** Answers every failure and every unmatched route in the shape the billing routes use. */
const onError: Middleware = async (ctx, next) => {
  try {
    await next();
    if (ctx.status === 404 && ctx.body == null) throw new TollgateError('not_found');
  } catch (error) {
    const { status, headers, body } = hostError(error, headerOf(ctx));
    ctx.status = status;
    ctx.set({ ...headers });
    ctx.body = body;
  }
};

function headerOf(ctx: Context): (name: string) => string | undefined {
  return (name) => ctx.get(name) || undefined;
}

/** Checked by `enter`. */
function orgOf(ctx: Context): string {
  return ctx.get('x-org');
}

function param(ctx: Context, name: string): string {
  return String(ctx.params[name]);
}
