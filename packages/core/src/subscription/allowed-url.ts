const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
/** Scheme, `//`, then a plain authority: no user info, and no percent-encoded or non-ASCII letters that a parser would fold into a host. */
const PLAIN_START = /^https?:\/\/[A-Za-z0-9.:[\]-]+(?=[/?#]|$)/i;
/** Printable ASCII without the characters that browsers strip or rewrite (white space, backslash, controls). */
const PLAIN_TEXT = /^[\x21-\x5b\x5d-\x7e]+$/;

/**
 * The URL in normal form if it may be sent to a browser, else null. It must be https (http for a loopback host only) with its whole
 * origin literally in `origins`, without user info, white space, control characters or backslashes, of at most `maxLength` characters.
 */
export function allowedUrl(text: string, origins: readonly string[], maxLength: number): string | null {
  if (
    typeof text !== 'string' ||
    text.length > maxLength ||
    !PLAIN_TEXT.test(text) ||
    !PLAIN_START.test(text)
  )
    return null;
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK_HOST.test(url.hostname)))
    return null;
  if (url.username !== '' || url.password !== '') return null;
  return origins.includes(url.origin) ? url.href : null;
}
