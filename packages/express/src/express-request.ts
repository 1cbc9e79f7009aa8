import { createNodeRequest, type GuardedRequest, type HttpRequest, passageOf } from '@tollgate/core';
import type { Request } from 'express';

const targetOf = (req: Request) => req.originalUrl;

/** The neutral request over Express' own. */
export function expressRequest(req: Request): HttpRequest {
  return createNodeRequest({ message: req, native: req, parsed: req, targetOf });
}

/** The request as guards take it. */
export function guardedRequest(req: Request): GuardedRequest<Request> {
  return { request: () => expressRequest(req), native: req, passage: passageOf(req) };
}
