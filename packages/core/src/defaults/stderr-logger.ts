import type { Logger } from '../ports/logger.ts';
import { redact } from './redact.ts';

/** Writes warnings and errors to stderr, one JSON object per line, with anything that looks like a secret redacted. */
export const stderrLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: (message, facts) => write('warn', message, facts),
  error: (message, facts) => write('error', message, facts),
};

function write(level: string, message: string, facts: Readonly<Record<string, unknown>> = {}): void {
  const line = { at: new Date().toISOString(), level, message: redact(message) };
  process.stderr.write(`tollgate ${JSON.stringify({ ...line, ...(redact(facts) as object) })}\n`);
}
