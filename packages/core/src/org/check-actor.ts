import { TollgateError } from '../errors/tollgate-error.ts';
import { isStorableText } from '../storable-text.ts';

/** Checks an actor's name, which the audit trail needs. @throws TollgateError `invalid_request` */
export function checkActor(actor: unknown): void {
  if (typeof actor !== 'string' || actor === '' || !isStorableText(actor))
    throw new TollgateError('invalid_request', { message: 'Say who does this, as a text in `actor`.' });
}
