import { recordBytes } from '@tollgate/core';
import type { Context, Next } from 'koa';

/**
 * Lets a body parser mounted before the billing routes keep the bytes that webhooks are verified over. Reads nothing
 * itself. Not needed with parsers that leave `ctx.request.rawBody`.
 *
 * ```ts
 * app.use(keepRawBody);
 * app.use(bodyParser());
 * ```
 */
export function keepRawBody(ctx: Context, next: Next): Promise<void> {
  recordBytes(ctx.req);
  return next();
}
