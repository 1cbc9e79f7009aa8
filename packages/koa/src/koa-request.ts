import {
  createNodeRequest,
  type GuardedRequest,
  type HttpRequest,
  type NodeRequestSource,
  type Passage,
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
  return new Guarded(ctx);
}

class Guarded implements GuardedRequest<Context> {
  readonly native: Context;

  constructor(ctx: Context) {
    this.native = ctx;
  }

  passage(): Passage | undefined {
    return passageOf(this.native.req);
  }

  request(): HttpRequest {
    return koaRequest(this.native);
  }
}
