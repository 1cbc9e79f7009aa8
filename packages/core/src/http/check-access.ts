import { TollgateError } from '../errors/tollgate-error.ts';
import type { Permission } from '../ports/access.ts';
import type { HttpRequest } from '../ports/http-message.ts';
import type { Engine } from './engine.ts';

/**
 * Asks the host who calls and whether they may; answers who.
 *
 * @throws TollgateError `unauthorized` when the host knows nobody, `forbidden` unless it says yes in so many words.
 */
export async function checkAccess(
  engine: Engine,
  asked: { request: HttpRequest; permission: Permission; org: string | null; operationId: string },
): Promise<string> {
  const answer = await engine.access(asked);
  if (answer === null || answer === undefined) throw new TollgateError('unauthorized');
  if (answer.allowed !== true) throw new TollgateError('forbidden');
  return answer.actor;
}
