import type { HttpReply } from '@tollgate/core';
import type { Response } from 'express';

/** Sends a finished reply as it is: no ETag, no second serialisation. */
export function sendReply(res: Response, reply: HttpReply): void {
  if (res.headersSent) return;
  res.statusCode = reply.status;
  for (const [name, value] of Object.entries(reply.headers)) res.setHeader(name, value);
  res.end(reply.body);
}
