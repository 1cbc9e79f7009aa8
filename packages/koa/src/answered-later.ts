import { finished } from 'node:stream';
import type { Ending } from '@tollgate/core';
import type { Context } from 'koa';

/** Whether a handler that answers by itself (`ctx.respond = false`) has returned before it did. */
export function isAnsweredLater({ respond, res }: Context): boolean {
  return respond === false && !res.headersSent;
}

/** Tells how such an answer ended: such a handler may still be at work until then. */
export function onAnswer({ res }: Context, listener: (ending: Ending) => void): void {
  finished(res, () => listener(res.writableEnded ? judge(res.statusCode) : 'unseen'));
}

/** What may be the answer of somebody else while the handler still runs: of a time-out, or of Koa where nobody waited for the handler. */
const MAYBE_ANOTHERS: ReadonlySet<number> = new Set([404, 408, 503, 504]);

/**
 * Tells how an answer ended that a handler made past Koa, since such a handler may never return: middleware of Express that was wrapped
 * for Koa does not. An answer made through Koa tells nothing, as it may be a time-out's.
 */
export function onOwnAnswer(ctx: Context, listener: (ending: Ending) => void): void {
  const { res } = ctx;
  res.on('close', () => {
    if (!res.headersSent || isStatusSet(ctx)) return;
    const isSure = res.writableEnded && !MAYBE_ANOTHERS.has(res.statusCode);
    listener(isSure ? { status: res.statusCode } : 'unseen');
  });
}

/** Whether somebody set the status through Koa, which tells of it in no other way. */
export function isStatusSet({ response }: Context): boolean {
  return (response as { _explicitStatus?: unknown })._explicitStatus === true;
}

/** A time-out answers 408 in the stead of a handler that may still create, and which can set no other status then. */
export function judge(status: number): Ending {
  return status === 408 ? 'failed' : { status };
}
