import { isError } from '../errors/is-error.ts';

const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(whsec|sk|rk)_[A-Za-z0-9_+/=-]+/g, '$1_[redacted]'],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+/gi, '$1 [redacted]'],
  [/\b(t=\d+,\s*v\d=)[0-9a-f]+/gi, '$1[redacted]'],
  [/(:\/\/[^/\s:@]*:)[^@\s/]+@/g, '$1[redacted]@'],
];
const SECRET_NAMES = /authorization|cookie|signature|secret|password|api[-_]?key|token/i;
const DEEPEST = 4;

/** A copy fit for a log: secrets by their shape or by their name are replaced, errors become their name, code and message. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string')
    return SECRETS.reduce((text, [pattern, instead]) => text.replace(pattern, instead), value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth === DEEPEST) return '[deeper]';
  if (isError(value)) {
    const { code, cause } = value as { code?: unknown; cause?: unknown };
    return redact(
      {
        name: value.name,
        ...(code === undefined ? {} : { code }),
        message: value.message,
        ...(cause === undefined ? {} : { cause }),
      },
      depth,
    );
  }
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      SECRET_NAMES.test(name) ? '[redacted]' : redact(item, depth + 1),
    ]),
  );
}
