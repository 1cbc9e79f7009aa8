import {
  type Billing,
  createGuard,
  type GuardKeys,
  type GuardOptions,
  type KeyedGuardOptions,
  keepReservation,
  type RegisteredKey,
  setRateLimitHeaders,
} from '@tollgate/core';
import type { Request, RequestHandler } from 'express';
import { guardedRequest } from './express-request.ts';
import type { Middleware } from './middleware.ts';
import { onEnding, prepareEndings } from './on-ending.ts';
import { sendReply } from './send-reply.ts';

/**
 * Guards a create: takes units of the key before the handler runs, and refuses when they are used up. Of several keys it takes all
 * or none.
 *
 * A 2xx or 3xx keeps the units, a 4xx gives them back. After a 5xx or a throw they count until the host's rows have been counted;
 * metered units follow `onFailure`. A handler whose end nobody saw holds them until its lease ends. docs/guarding.md of the
 * project's repository lists every case.
 *
 * ```ts
 * app.post('/devices', requireQuota('devices'), createDevice);
 * ```
 */
export function requireQuota<K extends string = RegisteredKey>(
  // A given engine brings its own keys.
  keys:
    | GuardKeys<NoInfer<K>>
    | (Omit<KeyedGuardOptions<Request, NoInfer<K>>, 'billing'> & { readonly billing?: Billing<K> }),
  options: GuardOptions<Request, K> = {},
): Middleware {
  const guard = createGuard<Request, K>(keys, options);
  prepareEndings();
  const quotaGuard: RequestHandler = async (req, res, next) => {
    try {
      // A stream that earlier middleware began for the handler is no answer in its place.
      const isBegun = res.headersSent;
      const entered = await guard(guardedRequest(req));
      if (!entered.admitted) {
        // An answer that has been ended may still be on its way, so it is not cut off.
        if (!isBegun) sendReply(res, entered.reply);
        else if (!res.writableEnded) res.destroy();
        return;
      }
      if (isBegun ? res.writableEnded : res.headersSent) {
        // Somebody answered during the decision: the handler does not run, so nothing is created. A failed release logs itself.
        await entered.reservation.release().catch(() => {});
        return;
      }
      onEnding(res, (ending) => entered.leave(ending));
      keepReservation(req, entered.reservation);
      if (!isBegun) setRateLimitHeaders(res, entered.headers);
    } catch (error) {
      next(error);
      return;
    }
    next();
  };
  return quotaGuard as Middleware;
}
