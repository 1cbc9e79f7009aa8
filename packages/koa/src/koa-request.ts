import type { IncomingMessage } from 'node:http';
import {
  createNodeRequest,
  type GuardedRequest,
  type HttpRequest,
  type NodeRequestSource,
  passageOf,
} from '@tollgate/core';
import type { Context } from 'koa';

const REQUEST = Symbol('request');

/** The neutral request over Koa's own: one a request, so that its body and its id are found again. */
export function koaRequest(ctx: Context): HttpRequest {
  const message: IncomingMessage & { [REQUEST]?: HttpRequest } = ctx.req;
  message[REQUEST] ??= createNodeRequest({
    message,
    target: ctx.originalUrl,
    native: ctx,
    parsed: ctx.request as NodeRequestSource['parsed'],
  });
  return message[REQUEST];
}

/** The request as guards take it. */
export function guardedRequest(ctx: Context): GuardedRequest<Context> {
  return { request: () => koaRequest(ctx), native: ctx, passage: passageOf(ctx.req) };
}
