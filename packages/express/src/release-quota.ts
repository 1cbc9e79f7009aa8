import { createRelease, type RegisteredKey, type ReleaseOptions } from '@tollgate/core';
import type { Request, RequestHandler } from 'express';
import { guardedRequest } from './express-request.ts';
import type { Middleware } from './middleware.ts';
import { onEnd } from './on-ending.ts';

/**
 * Reports a delete: when the handler answers 2xx, units of the key are released.
 *
 * ```ts
 * app.delete('/devices/:id', releaseQuota('devices'), deleteDevice);
 * ```
 */
export function releaseQuota<K extends string = RegisteredKey>(
  // A given engine brings its own keys.
  key: NoInfer<K>,
  options: ReleaseOptions<Request, K> = {},
): Middleware {
  const release = createRelease<Request, K>(key, options);
  const quotaRelease: RequestHandler = (req, res, next) => {
    const report = release(guardedRequest(req));
    let isReported = false;
    // `end` may be called more than once; one delete is one report.
    onEnd(res, (ending) => {
      if (isReported || typeof ending !== 'object' || ending.status < 200 || ending.status >= 300) return;
      isReported = true;
      void report();
    });
    next();
  };
  return quotaRelease as Middleware;
}
