/**
 * Whether the value is an error, including one of another realm. Under Jest errors of Node's own modules are, and for that of a time-out
 * there is no class to check. A value that throws when inspected is not an error.
 */
export function isError(value: unknown): value is Error {
  if (typeof value !== 'object' || value === null) return false;
  try {
    if (value instanceof Error) return true;
    const { message, stack } = value as { message?: unknown; stack?: unknown };
    return typeof message === 'string' && typeof stack === 'string';
  } catch {
    return false;
  }
}
