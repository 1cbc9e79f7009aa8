import { type Billing, createRelease, type RegisteredKey, type ReleaseOptions } from '@tollgate/core';
import type { Context, Middleware } from 'koa';
import { isAnsweredLater, onAnswer } from './answered-later.ts';
import { guardedRequest } from './koa-request.ts';

/**
 * Reports a delete: when the handler answers 2xx, units of the key come free.
 *
 * ```ts
 * router.delete('/devices/:id', releaseQuota('devices'), deleteDevice);
 * ```
 */
export function releaseQuota<K extends string>(
  key: NoInfer<K>,
  options: ReleaseOptions<Context, K> & { readonly billing: Billing<K> },
): Middleware;
export function releaseQuota(
  key: RegisteredKey,
  options?: ReleaseOptions<Context> & { readonly billing?: never },
): Middleware;
export function releaseQuota(key: string, options: ReleaseOptions<Context, string> = {}): Middleware {
  const release = createRelease<Context, string>(key, options);
  return async function quotaRelease(ctx, next) {
    const report = release(guardedRequest(ctx));
    await next();
    if (isAnsweredLater(ctx)) {
      onAnswer(ctx, (ending) => {
        if (typeof ending === 'object' && isSuccess(ending.status)) void report();
      });
    } else if (isSuccess(ctx.status)) await report();
  };
}

const isSuccess = (status: number) => status >= 200 && status < 300;
