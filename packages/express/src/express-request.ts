import { createNodeRequest, type GuardedRequest, type HttpRequest, passageOf } from '@tollgate/core';
import type { Request } from 'express';

const REQUEST = Symbol('request');

/** The neutral request over Express' own: one a request, so that its body and its id are found again. */
export function expressRequest(req: Request & { [REQUEST]?: HttpRequest }): HttpRequest {
  req[REQUEST] ??= createNodeRequest({ message: req, target: req.originalUrl, native: req, parsed: req });
  return req[REQUEST];
}

/** The request as guards take it. */
export function guardedRequest(req: Request): GuardedRequest<Request> {
  return { request: () => expressRequest(req), native: req, passage: passageOf(req) };
}
