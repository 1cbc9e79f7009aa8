import { TollgateError } from '../errors/tollgate-error.ts';
import type { Permission } from '../ports/access.ts';
import type { HttpRequest } from '../ports/http-message.ts';
import type { Engine } from './engine.ts';

/** Engines that have already logged that their hook returns something else than it must. */
const warned = new WeakSet<Engine>();

/**
 * Asks the host who the caller is and whether they are allowed; returns who.
 *
 * @throws TollgateError `unauthorized` if the host knows no caller, `forbidden` unless `allowed` is exactly true,
 * `invalid_configuration` if it allows a caller without a name: the audit trail needs one.
 */
export async function checkAccess(
  engine: Engine,
  asked: { request: HttpRequest; permission: Permission; org: string | null; operationId: string },
): Promise<string> {
  const answer = await engine.access(asked);
  if (answer === null || answer === undefined) throw new TollgateError('unauthorized');
  if (typeof answer !== 'object' && !warned.has(engine)) {
    warned.add(engine);
    engine.logger.error(
      'Configuration error: the access option must answer { actor, allowed }, or null for nobody. Whatever else it answers is a refusal.',
      { answered: typeof answer },
    );
  }
  if (answer.allowed !== true) throw new TollgateError('forbidden');
  if (typeof answer.actor !== 'string' || answer.actor === '') {
    throw new TollgateError('invalid_configuration', {
      message: 'The access option must answer who calls, as a text in `actor`.',
    });
  }
  return answer.actor;
}
