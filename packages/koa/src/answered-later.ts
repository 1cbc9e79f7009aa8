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

/** A time-out answers 408 in the stead of a handler that may still create, and which can set no other status then. */
export function judge(status: number): Ending {
  return status === 408 ? 'failed' : { status };
}
