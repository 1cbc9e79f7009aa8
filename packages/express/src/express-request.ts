import { createNodeRequest, type GuardedRequest, type HttpRequest, passageOf } from '@tollgate/core';
import type { Request } from 'express';

/** Not a property of the request: Express gives each a shape of its own, and properties put on those are slow to make. */
const made = new WeakMap<Request, HttpRequest>();

/** The neutral request over Express' own: one a request, so that its body and its id are found again. */
export function expressRequest(req: Request): HttpRequest {
  let request = made.get(req);
  if (request === undefined) {
    request = createNodeRequest({ message: req, target: req.originalUrl, native: req, parsed: req });
    made.set(req, request);
  }
  return request;
}

/** The request as guards take it. */
export function guardedRequest(req: Request): GuardedRequest<Request> {
  return { request: () => expressRequest(req), native: req, passage: passageOf(req) };
}
