import type { HttpReply } from '@tollgate/core';
import type { Context } from 'koa';

/** Sends a finished answer as it is: no second serialisation. */
export function sendReply(ctx: Context, reply: HttpReply): void {
  ctx.status = reply.status;
  ctx.set({ ...reply.headers });
  if (reply.body !== '') ctx.body = reply.body;
}
