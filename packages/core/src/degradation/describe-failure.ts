import { redact } from '../defaults/redact.ts';
import { TollgateError } from '../errors/tollgate-error.ts';

/** What a log may hold of a failure in the background. */
export function describeFailure(error: unknown): Readonly<Record<string, unknown>> {
  return error instanceof TollgateError ? { code: error.code } : { error: redact(error) };
}
