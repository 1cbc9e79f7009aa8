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
 * Guards a create: takes units of the key, or of several keys all or none, before the handler, and refuses when they are used up.
 * A 2xx or 3xx keeps them, a 4xx gives them back; see docs/guarding.md for everything between.
 *
 * ```ts
 * app.post('/devices', requireQuota('devices'), createDevice);
 * ```
 */
export function requireQuota<K extends string>(
  keys: GuardKeys<NoInfer<K>>,
  options: GuardOptions<Request, K> & { readonly billing: Billing<K> },
): Middleware;
export function requireQuota<K extends string>(
  keys: Omit<KeyedGuardOptions<Request, NoInfer<K>>, 'billing'> & { readonly billing: Billing<K> },
): Middleware;
export function requireQuota(
  keys: GuardKeys<RegisteredKey> | (KeyedGuardOptions<Request> & { readonly billing?: never }),
  // An engine that is given brings its own keys: the overloads above.
  options?: GuardOptions<Request> & { readonly billing?: never },
): Middleware;
export function requireQuota(
  keys: GuardKeys<string> | KeyedGuardOptions<Request, string>,
  options: GuardOptions<Request, string> = {},
): RequestHandler {
  const guard = createGuard<Request, string>(keys, options);
  prepareEndings();
  return async function quotaGuard(req, res, next) {
    try {
      // A stream that somebody began for the handler is no answer in its stead.
      const isBegun = res.headersSent;
      const entered = await guard(guardedRequest(req));
      if (!entered.admitted) {
        if (isBegun) res.destroy();
        else sendReply(res, entered.reply);
        return;
      }
      if (isBegun ? res.writableEnded : res.headersSent) {
        // Somebody answered while it was being decided: the handler does not run, so nothing is created. A failure is logged where it is made.
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
}
