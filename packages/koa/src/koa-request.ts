import {
  createNodeRequest,
  type GuardedRequest,
  guardNodeRequest,
  type HttpRequest,
  type NodeRequestSource,
} from '@tollgate/core';
import type { Context } from 'koa';

const targetOf = (ctx: Context) => ctx.originalUrl;

function sourceOf(ctx: Context): NodeRequestSource<Context> {
  const parsed = ctx.request as NodeRequestSource<Context>['parsed'];
  return { message: ctx.req, native: ctx, parsed, targetOf };
}

/** The neutral request over Koa's own. */
export function koaRequest(ctx: Context): HttpRequest {
  return createNodeRequest(sourceOf(ctx));
}

/** The request as guards take it. */
export function guardedRequest(ctx: Context): GuardedRequest<Context> {
  return guardNodeRequest(sourceOf(ctx));
}
