import { createRelease, type Ending, type RegisteredKey, type ReleaseOptions } from '@tollgate/core';
import type { Context, Middleware } from 'koa';
import { isAnsweredLater, onAnswer, onOwnAnswer } from './answered-later.ts';
import { guardedRequest } from './koa-request.ts';

/**
 * Reports a delete: when the handler answers 2xx, units of the key are released.
 *
 * ```ts
 * router.delete('/devices/:id', releaseQuota('devices'), deleteDevice);
 * ```
 */
export function releaseQuota<K extends string = RegisteredKey>(
  // A given engine brings its own keys.
  key: NoInfer<K>,
  options: ReleaseOptions<Context, K> = {},
): Middleware {
  const release = createRelease<Context, K>(key, options);
  return async function quotaRelease(ctx, next) {
    const report = release(guardedRequest(ctx));
    let isReported = false;
    // A handler that bypasses Koa ends by its answer, its return, or both; one delete is one report.
    async function end(ending: Ending): Promise<void> {
      if (isReported || typeof ending !== 'object' || ending.status < 200 || ending.status >= 300) return;
      isReported = true;
      await report();
    }
    const returned = onOwnAnswer(ctx, (ending) => void end(ending));
    await next();
    if (isAnsweredLater(ctx)) onAnswer(ctx, (ending) => void end(ending));
    else {
      returned();
      await end({ status: ctx.status });
    }
  };
}
