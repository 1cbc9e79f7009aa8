import type { IncomingMessage } from 'node:http';
import { keepBytes } from '@tollgate/core';

/**
 * Lets a JSON parser mounted before the billing routes keep the bytes that webhooks are verified over.
 *
 * ```ts
 * app.use(express.json({ verify: keepRawBody }));
 * ```
 */
export function keepRawBody(req: IncomingMessage, _res: unknown, bytes: Buffer): void {
  keepBytes(req, bytes);
}
