/** What an error says; nothing where it is none. It is not asked by its class: a client may be of another realm (a test environment of Jest's). */
export function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : '';
}
