/** The message of an error, or ''. Not by `instanceof`: a client may be of another realm (as in Jest's test environment). */
export function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : '';
}
