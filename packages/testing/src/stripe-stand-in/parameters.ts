import { invalidParameter } from './api-error.ts';
import type { FormParts, FormValue } from './form.ts';

/** Reads one parameter, or refuses it as Stripe does. */
export interface Check<T> {
  (value: FormValue, path: string): T;
  /** What it accepts, for comparison with the types of Stripe's client: the parts of a shape, or the words of a choice. */
  readonly parts?: Checks;
  readonly words?: readonly string[];
}

export type Checks = Readonly<Record<string, Check<unknown>>>;

/** What a shape of checks yields: every part may be absent. */
export type Checked<S extends Checks> = { readonly [K in keyof S]?: ReturnType<S[K]> };

export const textUpTo =
  (max: number): Check<string> =>
  (value, path) => {
    if (typeof value !== 'string') throw invalidParameter(path, `Invalid string: ${path}`);
    if (value.length > max) throw invalidParameter(path, `Invalid string: must be at most ${max} characters`);
    return value;
  };

export const text: Check<string> = textUpTo(5_000);

export const whole: Check<number> = (value, path) => {
  if (typeof value !== 'string' || !/^-?\d{1,15}$/.test(value))
    throw invalidParameter(path, `Invalid integer: ${String(value)}`, 'parameter_invalid_integer');
  return Number(value);
};

export const decimal: Check<number> = (value, path) => {
  if (typeof value !== 'string' || !/^\d{1,9}(\.\d{1,12})?$/.test(value))
    throw invalidParameter(path, `Invalid decimal: ${String(value)}`);
  return Number(value);
};

export const flag: Check<boolean> = (value, path) => {
  if (value !== 'true' && value !== 'false')
    throw invalidParameter(path, `Invalid boolean: ${String(value)}`);
  return value === 'true';
};

export const url: Check<string> = (value, path) => {
  const read = text(value, path);
  // It may contain a template such as {CHECKOUT_SESSION_ID}.
  if (!URL.canParse(read.replaceAll(/[{}]/g, '')) || !/^https?:/.test(read))
    throw invalidParameter(path, 'Not a valid URL', 'url_invalid');
  return read;
};

export function oneOf<T extends string>(...words: readonly T[]): Check<T> {
  const check = (value: FormValue, path: string): T => {
    const found = words.find((word) => word === value);
    if (found === undefined)
      throw invalidParameter(path, `Invalid ${path}: must be one of ${words.join(', ')}`);
    return found;
  };
  return described(check, { words });
}

export function either<A, B>(first: Check<A>, second: Check<B>): Check<A | B> {
  const check = (value: FormValue, path: string): A | B => {
    try {
      return first(value, path);
    } catch {
      return second(value, path);
    }
  };
  return described(check, first.words === undefined && first.parts === undefined ? second : first);
}

/** An empty string clears the value. */
export function clearable<T>(check: Check<T>): Check<T | null> {
  return described((value, path) => (value === '' ? null : check(value, path)), check);
}

export function listOf<T>(check: Check<T>): Check<readonly T[]> {
  return described((value, path) => {
    if (!Array.isArray(value)) throw invalidParameter(path, `Invalid array: ${path}`);
    return value.map((item, index) => check(item, `${path}[${index}]`));
  }, check);
}

/** Named parts, each with its own check; any other name is refused as unknown. */
export function shape<S extends Checks>(checks: S): Check<Checked<S>> {
  return described(
    (value, path) => {
      if (typeof value !== 'object' || Array.isArray(value))
        throw invalidParameter(path, `Invalid object: ${path}`);
      return readParameters(value as FormParts, checks, path);
    },
    { parts: checks },
  );
}

/** Attaches to a check a description of what it accepts. */
function described<T>(
  check: (value: FormValue, path: string) => T,
  { parts, words }: Pick<Check<unknown>, 'parts' | 'words'>,
): Check<T> {
  return Object.assign(check, {
    ...(parts === undefined ? {} : { parts }),
    ...(words === undefined ? {} : { words }),
  });
}

/** At most 50 keys, of at most 40 characters, with values of at most 500; an empty value removes its key. */
export const metadata: Check<Readonly<Record<string, string>>> = (value, path) => {
  if (typeof value !== 'object' || Array.isArray(value))
    throw invalidParameter(path, `Invalid object: ${path}`);
  const entries = Object.entries(value);
  if (entries.length > 50) throw invalidParameter(path, 'Metadata can have up to 50 keys.');
  return Object.fromEntries(
    entries.map(([key, item]) => {
      if (key.length > 40 || typeof item !== 'string' || item.length > 500)
        throw invalidParameter(
          `${path}[${key}]`,
          'Metadata keys can have up to 40 characters and values up to 500.',
        );
      return [key, item];
    }),
  );
};

/** Reads a request's parameters with the endpoint's checks. */
export function readParameters<S extends Checks>(given: FormParts, checks: S, prefix = ''): Checked<S> {
  const read: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const path = prefix === '' ? name : `${prefix}[${name}]`;
    if (!Object.hasOwn(checks, name))
      throw invalidParameter(path, `Received unknown parameter: ${path}`, 'parameter_unknown');
    read[name] = checks[name]?.(value, path);
  }
  return read as Checked<S>;
}

/** The value of a required parameter. */
export function required<T>(value: T | null | undefined, param: string): T {
  if (value === undefined || value === null)
    throw invalidParameter(param, `Missing required param: ${param}.`, 'parameter_missing');
  return value;
}
