import { recordBytes } from '@tollgate/core';
import type { Context, Next } from 'koa';

/**
 * Keeps the bytes that webhooks are verified over, where a body parser is mounted before the billing routes. Mount it ahead of the
 * parser. It reads nothing itself, and is not needed with parsers that set `ctx.request.rawBody`.
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
