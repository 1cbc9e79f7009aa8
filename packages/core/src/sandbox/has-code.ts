/** Whether a system error has this code. Under Jest, errors of Node's own modules come from another realm, and are no `Error` here. */
export function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
