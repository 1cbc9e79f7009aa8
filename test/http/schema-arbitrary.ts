import fc from 'fast-check';

export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** Words worth trying where a schema only says "a string", by field name. */
export type Dictionary = Readonly<Record<string, readonly string[]>>;

/** Values that match a JSON Schema of the kind our OpenAPI document uses. */
export function schemaArbitrary(
  schema: JsonSchema,
  components: Readonly<Record<string, JsonSchema>>,
  dictionary: Dictionary = {},
  field = '',
): fc.Arbitrary<unknown> {
  const nested = (inner: unknown, name = field) =>
    schemaArbitrary(inner as JsonSchema, components, dictionary, name);
  if (typeof schema.$ref === 'string') return nested(components[schema.$ref.split('/').at(-1) ?? '']);
  if ('const' in schema) return fc.constant(schema.const);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...(schema.enum as unknown[]));
  const either = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(either)) return fc.oneof(...either.map((inner) => nested(inner)));
  if (Array.isArray(schema.type))
    return fc.oneof(...schema.type.map((type: string) => nested({ ...schema, type })));
  switch (schema.type) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return integers(schema);
    case 'string':
      return strings(schema, dictionary[field]);
    case 'array':
      return fc.array(nested(schema.items));
    case 'object':
      return objects(schema, nested);
    default:
      throw new Error(`No arbitrary for the schema ${JSON.stringify(schema)}.`);
  }
}

function integers(schema: JsonSchema): fc.Arbitrary<number> {
  const min = Number(schema.minimum ?? Number.MIN_SAFE_INTEGER);
  const max = Number(schema.maximum ?? Number.MAX_SAFE_INTEGER);
  return fc.oneof(
    fc.integer({ min, max: Math.min(max, 1_000) }),
    fc.constantFrom(min, max),
    fc.maxSafeInteger().filter((n) => n >= min && n <= max),
  );
}

function strings(schema: JsonSchema, words: readonly string[] | undefined): fc.Arbitrary<string> {
  if (schema.format === 'date-time') {
    const range = { min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true };
    return fc.date(range).map((date) => date.toISOString());
  }
  const pattern = new RegExp((schema.pattern as string | undefined) ?? '');
  const minLength = Number(schema.minLength ?? 0);
  const maxLength = Number(schema.maxLength ?? 40);
  const any = fc
    .oneof(
      fc.string({ unit: 'binary', minLength, maxLength: Math.min(maxLength, 40) }),
      fc.string({ minLength, maxLength }),
    )
    .filter((text) => text.length >= minLength && text.length <= maxLength && pattern.test(text));
  return words === undefined
    ? any
    : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...words) }, { weight: 1, arbitrary: any });
}

function objects(
  schema: JsonSchema,
  nested: (inner: unknown, name: string) => fc.Arbitrary<unknown>,
): fc.Arbitrary<object> {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, unknown>);
  const requiredKeys = (schema.required ?? []) as string[];
  return fc.record(Object.fromEntries(properties.map(([name, inner]) => [name, nested(inner, name)])), {
    requiredKeys,
  });
}

/** The ways in which a value can break a closed object schema, applied to a value that matches it. */
export function brokenArbitrary(schema: JsonSchema, valid: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  const required = (schema.required ?? []) as string[];
  const properties = Object.keys((schema.properties ?? {}) as object);
  const otherType = fc.oneof(
    fc.object(),
    fc.array(fc.anything({ withNullPrototype: false }), { minLength: 1 }),
  );
  const mutated = fc.oneof(
    fc
      .tuple(valid, fc.constantFrom(...required))
      .map(([value, name]) => text({ ...(value as object), [name]: undefined })),
    fc
      .tuple(valid, fc.constantFrom(...properties), otherType)
      .map(([value, name, other]) => text({ ...(value as object), [name]: other })),
    fc
      .tuple(
        valid,
        fc.string({ minLength: 1 }).filter((name) => !properties.includes(name)),
        fc.jsonValue(),
      )
      .map(
        ([value, name, extra]) =>
          `${text(value).slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(extra)}}`,
      ),
    fc
      .tuple(valid, fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString'))
      .map(([value, name]) => `${text(value).slice(0, -1)},"${name}":{"limit_value":-1}}`),
    valid.map((value) => text([value])),
    fc.tuple(valid, fc.nat()).map(([value, cut]) => text(value).slice(0, cut % text(value).length)),
    fc
      .jsonValue()
      .filter((value) => typeof value !== 'object' || value === null)
      .map(text),
    fc.string({ unit: 'binary' }).filter((garbage) => !isJsonObject(garbage)),
  );
  return mutated;
}

function text(value: unknown): string {
  return (
    JSON.stringify(value, (_name, inner: unknown) =>
      typeof inner === 'bigint' ? inner.toString() : inner,
    ) ?? 'null'
  );
}

function isJsonObject(candidate: string): boolean {
  try {
    const value: unknown = JSON.parse(candidate);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
