import { redact } from '../defaults/redact.ts';
import { TollgateError } from './tollgate-error.ts';

/** What a log may hold of a failure that is not the caller's fault: its code and its cause, redacted. */
export function describeFailure(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof TollgateError)) return { error: redact(error) };
  return { code: error.code, ...(error.cause === undefined ? {} : { cause: redact(error.cause) }) };
}
