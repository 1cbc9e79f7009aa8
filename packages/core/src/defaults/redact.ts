import { isError } from '../errors/is-error.ts';

const NAMES = 'authorization|cookie|signature|secret|password|api[-_]?key|token';
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(whsec|sk|rk)_[A-Za-z0-9_+/=-]+/g, '$1_[redacted]'],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+/gi, '$1 [redacted]'],
  [/\b(t=\d+,\s*v\d=)[0-9a-f]+/gi, '$1[redacted]'],
  [/(:\/\/[^/\s:@]*:)[^@\s/]+@/g, '$1[redacted]@'],
  // In a URL's query, or a driver's connection string. Bounded, since a text may repeat a name without end.
  [new RegExp(`((?:${NAMES})[\\w-]{0,20}=["']?)[^\\s&;,"']+`, 'gi'), '$1[redacted]'],
];
const SECRET_NAMES = new RegExp(NAMES, 'i');
const DEEPEST = 4;

/** A copy fit for a log: replaces secrets, known by shape or name, and reduces errors to name, code and message. Never throws. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string')
    return SECRETS.reduce((text, [pattern, instead]) => text.replace(pattern, instead), value);
  if (typeof value === 'bigint') return value.toString();
  // An own `toJSON` would put in its place, where the log is written, what was never looked at.
  if (typeof value === 'function') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (depth === DEEPEST) return '[deeper]';
  return readable(() => redactObject(value, depth));
}

function redactObject(value: object, depth: number): unknown {
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  const item = (name: string) =>
    readable(() => redact((value as Readonly<Record<string, unknown>>)[name], depth + 1));
  const entries = isError(value)
    ? ['name', 'code', 'message', 'cause']
        .map((name) => [name, item(name)] as const)
        .filter(([, said]) => said !== undefined)
    : Object.keys(value).map((name) => [name, SECRET_NAMES.test(name) ? '[redacted]' : item(name)] as const);
  return Object.fromEntries(entries);
}

/** Reads a value whose getter or proxy may throw. */
export function readable(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return '[unreadable]';
  }
}
