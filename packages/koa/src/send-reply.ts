import type { HttpReply } from '@tollgate/core';
import type { Context } from 'koa';

/** Sends a finished answer as it is: no second serialisation. */
export function sendReply(ctx: Context, reply: HttpReply): void {
  // Somebody may have said that a handler answers by itself: it does not run.
  if (ctx.respond === false) ctx.respond = true;
  ctx.status = reply.status;
  ctx.set({ ...reply.headers });
  if (reply.body !== '') ctx.body = reply.body;
}
