/** A failure of the system's. Under Jest those of Node's own modules are of another realm, and not of the class `Error`. */
export function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
