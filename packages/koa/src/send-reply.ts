import type { HttpReply } from '@tollgate/core';
import type { Context } from 'koa';

/** Sends a finished reply as it is: no second serialisation. */
export function sendReply(ctx: Context, reply: HttpReply): void {
  // `respond = false` may have been set for a handler that answers by itself; it does not run.
  if (ctx.respond === false) ctx.respond = true;
  ctx.status = reply.status;
  ctx.set({ ...reply.headers });
  if (reply.body !== '') ctx.body = reply.body;
}
