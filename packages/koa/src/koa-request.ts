import {
  createNodeRequest,
  type GuardedRequest,
  type HttpRequest,
  type NodeRequestSource,
  passageOf,
} from '@tollgate/core';
import type { Context } from 'koa';

const targetOf = (ctx: Context) => ctx.originalUrl;

/** The neutral request over Koa's own. */
export function koaRequest(ctx: Context): HttpRequest {
  const parsed = ctx.request as NodeRequestSource<Context>['parsed'];
  return createNodeRequest({ message: ctx.req, native: ctx, parsed, targetOf });
}

/** The request as guards take it. */
export function guardedRequest(ctx: Context): GuardedRequest<Context> {
  return { request: () => koaRequest(ctx), native: ctx, passage: passageOf(ctx.req) };
}
