import { TollgateError } from '@tollgate/core';

const MAX_DEPTH = 64;

/**
 * Parses signed bytes as JSON.
 *
 * @throws TollgateError `invalid_event` for anything else: broken UTF-8 or JSON, a byte order mark, nesting deeper than 64, or a name that
 * occurs twice in one object
 */
export function parseEventBytes(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!isPlain(text)) throw new TollgateError('invalid_event');
    return JSON.parse(text);
  } catch {
    throw new TollgateError('invalid_event');
  }
}

/** Scans the text once, without recursion, for too deep nesting and for names that occur twice in one object. Does not validate JSON. */
function isPlain(text: string): boolean {
  const names: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case '{':
      case '[':
        if (names.push(text[at] === '{' ? new Set() : null) > MAX_DEPTH) return false;
        break;
      case '}':
      case ']':
        names.pop();
        break;
      case '"': {
        const end = closingQuote(text, at);
        const known = names.at(-1);
        if (known && isName(text, end)) {
          const name = String(JSON.parse(text.slice(at, end + 1)));
          if (known.has(name)) return false;
          known.add(name);
        }
        at = end;
        break;
      }
      default:
    }
  }
  return true;
}

function closingQuote(text: string, opening: number): number {
  let at = opening + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

function isName(text: string, closing: number): boolean {
  let at = closing + 1;
  while (' \t\r\n'.includes(text[at] ?? 'x')) at += 1;
  return text[at] === ':';
}
