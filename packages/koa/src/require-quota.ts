import {
  attachReservation,
  type Billing,
  createGuard,
  type Ending,
  type GuardKeys,
  type GuardOptions,
  type KeyedGuardOptions,
  type RegisteredKey,
  setRateLimitHeaders,
  TollgateError,
} from '@tollgate/core';
import type { Context, Middleware } from 'koa';
import { isAnsweredLater, isStatusSet, judge, onAnswer, onOwnAnswer } from './answered-later.ts';
import { keepHeaders } from './keep-headers.ts';
import { guardedRequest } from './koa-request.ts';
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
 * router.post('/devices', requireQuota('devices'), createDevice);
 * ```
 */
export function requireQuota<K extends string = RegisteredKey>(
  // A given engine brings its own keys.
  keys:
    | GuardKeys<NoInfer<K>>
    | (Omit<KeyedGuardOptions<Context, NoInfer<K>>, 'billing'> & { readonly billing?: Billing<K> }),
  options: GuardOptions<Context, K> = {},
): Middleware {
  const guard = createGuard<Context, K>(keys, options);
  return async function quotaGuard(ctx, next) {
    checkResponse(ctx);
    const isBegun = ctx.res.headersSent;
    const entered = await guard(guardedRequest(ctx));
    if (!entered.admitted) {
      if (isBegun && !ctx.res.writableEnded) breakOff(ctx, entered.reply.status);
      sendReply(ctx, entered.reply);
      return;
    }
    if (!ctx.res.headersSent) setRateLimitHeaders(ctx.res, entered.headers);
    keepHeaders(ctx, entered.headers);
    attachReservation(ctx, entered.reservation);
    const returned = onOwnAnswer(ctx, (ending) => entered.leave(ending));
    const was404 = isSetTo404(ctx);
    try {
      await next();
    } catch (error) {
      entered.leave(endingOf(error));
      throw error;
    }
    if (isAnsweredLater(ctx)) onAnswer(ctx, (ending) => entered.leave(ending));
    else {
      returned();
      entered.leave(answerOf(ctx, was404));
    }
  };
}

/** Cuts off a stream begun for a handler that does not run. Throws, so that no middleware around takes the sent status for its answer. */
function breakOff(ctx: Context, status: number): never {
  ctx.res.destroy();
  ctx.throw(status);
}

/** Without a response nothing would settle the units: they would be held as long as the process lives. */
function checkResponse({ res }: { readonly res?: unknown }): void {
  if (res !== undefined) return;
  throw new TollgateError('invalid_configuration', {
    message:
      'A guard cannot settle a request without a response, such as one of koa-websocket. Take its units by billing.reserve.',
  });
}

/** Koa answers 404 if a handler sets nothing at all, or leaves a 404 set before it: that tells nothing about what it created. */
function answerOf(ctx: Context, was404: boolean): Ending {
  const { statusCode: status, headersSent } = ctx.res;
  // Sent before the handler returned, usually by middleware around it: a status that the handler set later had no effect.
  if (headersSent && isStatusSet(ctx) && status >= 400) return 'failed';
  if (ctx.respond === false || status !== 404) return judge(status);
  const isTheHandlers = ctx.body != null || (isSetTo404(ctx) && !was404);
  return isTheHandlers ? { status } : 'failed';
}

/** Whether the 404 was set, rather than left as Koa's initial status. */
function isSetTo404(ctx: Context): boolean {
  return ctx.res.statusCode === 404 && isStatusSet(ctx);
}

/** `ctx.throw(409)` is the handler's own refusal; any other throw tells nothing about what was created. */
function endingOf(error: unknown): Ending {
  const { status, statusCode } = Object(error) as {
    readonly status?: unknown;
    readonly statusCode?: unknown;
  };
  // The status that Koa answers with.
  const answered = status || statusCode;
  return typeof answered === 'number' && answered >= 400 && answered < 500 ? judge(answered) : 'failed';
}
