import {
  createNodeRequest,
  type GuardedRequest,
  guardNodeRequest,
  type HttpRequest,
  type NodeRequestSource,
} from '@tollgate/core';
import type { Request } from 'express';

const targetOf = (req: Request) => req.originalUrl;

function sourceOf(req: Request): NodeRequestSource<Request> {
  return { message: req, native: req, parsed: req, targetOf };
}

/** The framework-neutral view of an Express request. */
export function expressRequest(req: Request): HttpRequest {
  return createNodeRequest(sourceOf(req));
}

/** The request as guards take it. */
export function guardedRequest(req: Request): GuardedRequest<Request> {
  return guardNodeRequest(sourceOf(req));
}
