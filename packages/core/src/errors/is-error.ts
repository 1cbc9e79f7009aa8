/**
 * Whether it is an error, also one of another realm: under Jest those of Node's own modules are, and of a time-out's no class is left to ask.
 * What throws when it is asked is none.
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
