import {
  createNodeRequest,
  type GuardedRequest,
  type HttpRequest,
  type Passage,
  passageOf,
} from '@tollgate/core';
import type { Request } from 'express';

const targetOf = (req: Request) => req.originalUrl;

/** The neutral request over Express' own. */
export function expressRequest(req: Request): HttpRequest {
  return createNodeRequest({ message: req, native: req, parsed: req, targetOf });
}

/** The request as guards take it. */
export function guardedRequest(req: Request): GuardedRequest<Request> {
  return new Guarded(req);
}

class Guarded implements GuardedRequest<Request> {
  readonly native: Request;

  constructor(req: Request) {
    this.native = req;
  }

  passage(): Passage | undefined {
    return passageOf(this.native);
  }

  request(): HttpRequest {
    return expressRequest(this.native);
  }
}
