import { createNodeRequest, type HttpRequest } from '@tollgate/core';
import type { Request } from 'express';

const made = new WeakMap<Request, HttpRequest>();

/** The neutral request over Express' own: one a request, so that its body and its id are found again. */
export function expressRequest(req: Request): HttpRequest {
  const known = made.get(req);
  if (known !== undefined) return known;
  const request = createNodeRequest({
    message: req,
    target: req.originalUrl,
    native: req,
    parsedBody: () => req.body,
    rawBody: () => (req as { rawBody?: unknown }).rawBody,
  });
  made.set(req, request);
  return request;
}
