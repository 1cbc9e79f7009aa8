import type { IncomingMessage } from 'node:http';
import { createNodeRequest, type HttpRequest } from '@tollgate/core';
import type { Context } from 'koa';

const made = new WeakMap<IncomingMessage, HttpRequest>();

/** The neutral request over Koa's own: one a request, so that its body and its id are found again. */
export function koaRequest(ctx: Context): HttpRequest {
  const known = made.get(ctx.req);
  if (known !== undefined) return known;
  const parsed = ctx.request as { body?: unknown; rawBody?: unknown };
  const request = createNodeRequest({
    message: ctx.req,
    target: ctx.originalUrl,
    native: ctx,
    parsedBody: () => parsed.body,
    rawBody: () => parsed.rawBody,
  });
  made.set(ctx.req, request);
  return request;
}
