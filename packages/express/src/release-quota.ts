import { type Billing, createRelease, type RegisteredKey, type ReleaseOptions } from '@tollgate/core';
import type { Request, RequestHandler } from 'express';
import { guardedRequest } from './express-request.ts';
import type { Middleware } from './middleware.ts';
import { onEnd } from './on-ending.ts';

/**
 * Reports a delete: when the handler answers 2xx, units of the key come free.
 *
 * ```ts
 * app.delete('/devices/:id', releaseQuota('devices'), deleteDevice);
 * ```
 */
export function releaseQuota<K extends string>(
  key: NoInfer<K>,
  options: ReleaseOptions<Request, K> & { readonly billing: Billing<K> },
): Middleware;
export function releaseQuota(
  key: RegisteredKey,
  options?: ReleaseOptions<Request> & { readonly billing?: never },
): Middleware;
export function releaseQuota(key: string, options: ReleaseOptions<Request, string> = {}): RequestHandler {
  const release = createRelease<Request, string>(key, options);
  return function quotaRelease(req, res, next) {
    const report = release(guardedRequest(req));
    let isReported = false;
    // An answer may be ended more than once; one delete is one report.
    onEnd(res, (ending) => {
      if (isReported || typeof ending !== 'object' || ending.status < 200 || ending.status >= 300) return;
      isReported = true;
      void report();
    });
    next();
  };
}
