import { readable, redact } from '../defaults/redact.ts';
import { isError } from './is-error.ts';

/** What a log may hold of an error: its name, code, message and stack and those of its causes, redacted. No other properties. */
export function describeError(error: unknown): Readonly<Record<string, unknown>> {
  if (!isError(error)) return { error: `a thrown ${error === null ? 'null' : typeof error}` };
  return { error: redact(error), stack: readable(() => redact(error.stack ?? null)) };
}
