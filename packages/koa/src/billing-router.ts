import { METHODS } from 'node:http';
import { Router } from '@koa/router';
import {
  attachPassage,
  type Billing,
  type BillingOptions,
  billingPaths,
  billingRoutes,
  createBilling,
  dispatch,
  dispatchPath,
  type Engine,
  engineOf,
  isBilling,
  matchPath,
  mountPrefix,
} from '@tollgate/core';
import type { Context, Middleware } from 'koa';
import { koaRequest } from './koa-request.ts';
import { sendReply } from './send-reply.ts';

export interface BillingRouterOptions {
  /**
   * Path of the routes, appended to the path where the router is mounted: `'/api/v1'`.
   * @default none
   */
  readonly prefix?: string;
}

/**
 * The billing routes as a Koa middleware. Use it directly, under koa-mount or nested in another router, before or after a body
 * parser. Requests that are not for the billing API go on to the host's next middleware untouched.
 *
 * ```ts
 * app.use(billingRouter(billing, { prefix: '/api/v1' }));
 * ```
 *
 * Nested in another router, only the billing requests themselves pass it, so guards then need `{ billing }`.
 *
 * @param billing - what `createBilling` returned, or its options.
 * @throws TollgateError `invalid_configuration`, naming every fault of the options.
 */
export function billingRouter<K extends string>(
  billing: Billing<K> | BillingOptions<K>,
  options: BillingRouterOptions = {},
): Middleware {
  const engine = engineOf(isBilling(billing) ? billing : createBilling(billing));
  const prefix = mountPrefix(options.prefix);
  const router = new Router({ prefix, sensitive: true, strict: true });

  for (const route of billingRoutes) {
    router.register(toKoaPath(route.path), [route.method], async function billingOperation(ctx: Context) {
      passOwn(ctx, engine, route.path);
      sendReply(ctx, await dispatch(engine, route, koaRequest(ctx)));
    });
  }
  for (const path of billingPaths) {
    router.register(toKoaPath(path), otherMethods(path), async function otherMethod(ctx: Context) {
      passOwn(ctx, engine, path);
      sendReply(ctx, await dispatchPath(engine, path, koaRequest(ctx)));
    });
  }

  const routed = router.routes();
  const pass: Middleware = (ctx, next) => {
    const mount = mountOf(ctx);
    attachPassage(ctx.req, { engine, basePath: mount + prefix }, mount + ctx.path);
    return Reflect.apply(routed, undefined, [ctx, next]);
  };
  // A router that nests this one looks for its table by this name.
  return Object.assign(pass, { router });
}

/** Where koa-mount put us: what it has cut off the path. */
function mountOf(ctx: Context): string {
  const whole = koaRequest(ctx).path;
  return whole.endsWith(ctx.path) ? whole.slice(0, whole.length - ctx.path.length) : whole;
}

/** Nested in another router, a billing request tells by its own path where it is mounted. */
function passOwn(ctx: Context, engine: Engine, path: string): void {
  const whole = koaRequest(ctx).path;
  const basePath = matchPath(path, whole)?.basePath ?? '';
  attachPassage(ctx.req, { engine, basePath }, whole);
}

function otherMethods(path: string): string[] {
  const own = billingRoutes.filter((route) => route.path === path).map((route) => route.method as string);
  return METHODS.filter((method) => !own.includes(method) && !(method === 'HEAD' && own.includes('GET')));
}

function toKoaPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}
