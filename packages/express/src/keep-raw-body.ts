import type { IncomingMessage } from 'node:http';
import { keepBytes, TollgateError } from '@tollgate/core';

/**
 * Makes a JSON parser that is mounted before the billing routes keep the bytes that webhooks are verified over.
 *
 * ```ts
 * app.use(express.json({ verify: keepRawBody }));
 * ```
 *
 * @throws TollgateError `invalid_configuration` when it is mounted as a middleware
 */
export function keepRawBody(req: IncomingMessage, _res: unknown, bytes: Buffer): void {
  // Mounted as a middleware, as on Koa, it would never call `next`: no request would ever be answered.
  if (typeof bytes === 'function') {
    throw new TollgateError('invalid_configuration', {
      message:
        'keepRawBody is no middleware on Express. Give it to the body parser: express.json({ verify: keepRawBody }).',
    });
  }
  keepBytes(req, bytes);
}
