/** Whether it is an error, also one of another realm: under Jest those of Node's own modules are, and of a time-out's no class is left to ask. */
export function isError(value: unknown): value is Error {
  if (value instanceof Error) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { message, stack } = value as { message?: unknown; stack?: unknown };
  return typeof message === 'string' && typeof stack === 'string';
}
